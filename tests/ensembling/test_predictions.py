"""The predictions file: what is written is read back, and what is damaged is refused."""

import hashlib
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembling import (
    Predictions,
    PredictionsError,
    check_same_holdout,
    predictions,
    read_predictions,
    select_ensemble,
    with_joined_groups,
    write_predictions,
)
from trainables.files import write_text

SMALL = Predictions(
    image_ids=("b.jpg", "a.jpg", "é.jpg"),
    sizes=((2, 3), (1, 1), (3, 2)),
    class_names=("Background", "Paper", "Glass"),
    fingerprint="f00d",
    pixels=np.array([0, 1, 2, 2, 1, 0, 1, 0, 0, 2, 2, 1, 1], np.uint8),
    edits="e1",
    groups=(4, 7, 4),
)


def assert_same(one, other):
    for key in ("image_ids", "sizes", "class_names", "fingerprint", "edits", "groups"):
        assert getattr(one, key) == getattr(other, key)
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.pixels.dtype == other.pixels.dtype == np.uint8


def maps_of(sizes, pixels, num_classes):
    names = tuple(f"class {index}" for index in range(num_classes))
    return Predictions(tuple(f"{index}.jpg" for index in range(len(sizes))), tuple(sizes), names, "f00d", pixels)


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=4),
    num_classes=st.sampled_from([1, 3, 15, 16, 17, 255]),
    abstains=st.booleans(),
    seed=st.integers(0, 999),
)
def test_what_is_written_is_read(tmp_path_factory, sizes, num_classes, abstains, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, num_classes, sum(height * width for height, width in sizes)).astype(np.uint8)
    if abstains:
        pixels[rng.random(pixels.size) < 0.3] = 255
    written = maps_of(sizes, pixels, num_classes)
    path = tmp_path_factory.mktemp("file") / "holdout.segvote"
    write_predictions(path, written)
    assert_same(read_predictions(path), written)


@pytest.mark.parametrize("length", [1, 64, 65, 254, 255, 256, 510, 511, 1000])
@pytest.mark.parametrize("last", [1, 300])
def test_runs_of_any_length_are_read(tmp_path, length, last):
    pixels = np.concatenate([np.full(length, 2), np.full(3, 255), np.full(length, 1), np.full(last, 0)]).astype(
        np.uint8
    )
    write_predictions(tmp_path / "file", maps_of([(1, pixels.size)], pixels, 3))
    np.testing.assert_array_equal(read_predictions(tmp_path / "file").pixels, pixels)


def test_regions_take_less_than_a_bit_a_pixel(tmp_path):
    map_ = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 11, (16, 16)), 32, axis=0), 32, axis=1)
    write_predictions(tmp_path / "file", maps_of([map_.shape], map_.reshape(-1).astype(np.uint8), 11))
    assert (tmp_path / "file").stat().st_size < map_.size / 8


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "holdout.segvote"
    write_predictions(path, SMALL)
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(PredictionsError, match=r"holdout\.segvote: .*; write it again"):
            read_predictions(path)


def test_every_truncation_and_every_appended_byte_is_found(tmp_path):
    path = tmp_path / "holdout.segvote"
    write_predictions(path, SMALL)
    data = path.read_bytes()
    for damaged in [data[:size] for size in range(len(data))] + [data + b"\0", data + data]:
        path.write_bytes(damaged)
        with pytest.raises(PredictionsError, match=r"holdout\.segvote"):
            read_predictions(path)


def rewritten(data, **changes):
    """A file whose checksums are right but whose header was changed."""
    _, version, size, _ = predictions.PREFIX.unpack_from(data)
    stop = predictions.PREFIX.size + size
    header = json.dumps(json.loads(data[predictions.PREFIX.size : stop]) | changes).encode()
    digest = hashlib.sha256(header).digest()
    return predictions.PREFIX.pack(predictions.MAGIC, version, len(header), digest) + header + data[stop:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": [[2, 3], [1, 1], [13, 1]]}, "its runs fill 13 pixels, but the sizes of its images say 20"),
        ({"sizes": [[2, 3], [1, 1], 7]}, "its header is not what this format holds"),
        ({"sizes": [[2, 3], [1, 1], [-3, -2]]}, r"images of the sizes \(\(2, 3\), \(1, 1\), \(-3, -2\)\)"),
        ({"sizes": [[2, 3], [1, 1], [99, 99]]}, "9 runs of 1 to 255 pixels, which cannot fill the 9808 pixels"),
        ({"sizes": [[2, 1]], "groups": [4], "image_ids": ["a"]}, "9 runs .* cannot fill the 2 pixels"),
        ({"class_names": ["Background"]}, "pixels hold class id 2, but there are 1 classes"),
        ({"image_ids": ["a", "a", "b"]}, "image_ids name one thing twice: 'a'"),
        ({"runs": 7}, "its header says 7 runs of pixels, but it has others"),
        ({"runs": True}, "its header says True runs of pixels"),
        ({"runs": "many"}, "its header says 'many' runs of pixels"),
        ({"extra": 1}, "its header must have the keys"),
    ],
)
def test_header_that_does_not_fit_its_pixels_is_refused(tmp_path, changes, message):
    path = tmp_path / "holdout.segvote"
    write_predictions(path, SMALL)
    path.write_bytes(rewritten(path.read_bytes(), **changes))
    with pytest.raises(PredictionsError, match=message):
        read_predictions(path)


def forged(runs, sizes):
    """A file whose payload unpacks to `runs` runs of no pixel: its checksums are right, and it is small."""
    compressor = zstandard.ZstdCompressor(level=3).compressobj(size=2 * runs)
    chunk = bytes(1 << 20)
    parts = [compressor.compress(chunk) for _ in range(2 * runs // len(chunk))]
    payload = b"".join(parts) + compressor.flush()
    header = {"sizes": sizes, "runs": runs, "payload_bytes": len(payload), "groups": [], "edits": "", "fingerprint": ""}
    header |= {"image_ids": [str(number) for number in range(len(sizes))], "class_names": ["a"]}
    header = json.dumps(header | {"payload_sha256": hashlib.sha256(payload).hexdigest()}).encode()
    prefix = predictions.PREFIX.pack(
        predictions.MAGIC, predictions.VERSION, len(header), hashlib.sha256(header).digest()
    )
    return prefix + header + payload


@pytest.mark.parametrize("sizes", [[], [[3, 4]], [[1 << 40, 1 << 20]]])
def test_a_small_file_cannot_take_much_memory(tmp_path, sizes):
    path = tmp_path / "bomb"
    path.write_bytes(forged(1 << 24, sizes))
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    try:
        with pytest.raises(PredictionsError, match=r"bomb: its header says 16777216 runs .* cannot fill"):
            read_predictions(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_other_files_and_versions_are_told_apart(tmp_path):
    path = tmp_path / "holdout.segvote"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(PredictionsError, match=r"holdout\.segvote: not a predictions file"):
        read_predictions(path)
    write_predictions(path, SMALL)
    data = bytearray(path.read_bytes())
    data[8] = 1
    path.write_bytes(data)
    with pytest.raises(PredictionsError, match=r"format version 1, but this release reads versions 2 and 3"):
        read_predictions(path)


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "holdout.segvote"
    write_predictions(path, SMALL)

    def disk_full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(predictions.os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_predictions(path, replace(SMALL, fingerprint="beef"))
    assert_same(read_predictions(path), SMALL)
    assert list(tmp_path.iterdir()) == [path]


def test_writing_replaces_the_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "holdout.segvote"
    write_predictions(path, SMALL)
    write_predictions(path, replace(SMALL, fingerprint="beef"))
    assert read_predictions(path).fingerprint == "beef"
    assert list(tmp_path.iterdir()) == [path]


def test_noise_takes_less_than_a_byte_a_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 16, 100_000).astype(np.uint8)
    write_predictions(tmp_path / "noise", maps_of([(1000, 100)], pixels, 16))
    assert (tmp_path / "noise").stat().st_size < 70_000


def test_maps_are_views_of_each_image(tmp_path):
    maps = dict(SMALL.maps())
    assert list(maps) == ["b.jpg", "a.jpg", "é.jpg"]
    assert maps["b.jpg"].tolist() == [[0, 1, 2], [2, 1, 0]]
    assert maps["é.jpg"].tolist() == [[0, 0], [2, 2], [1, 1]]
    assert np.shares_memory(maps["a.jpg"], SMALL.pixels)


def test_groups_of_pixels_are_numbered_by_sorted_id():
    alone = replace(SMALL, groups=())
    assert alone.grouped_ids() == (("a.jpg",), ("b.jpg",), ("é.jpg",))
    assert alone.group_of_pixels().tolist() == [1] * 6 + [0] + [2] * 6
    assert SMALL.photos_with_classes().tolist() == [
        sum(bool((one == class_id).any()) for _, one in SMALL.maps()) for class_id in range(len(SMALL.class_names))
    ]
    assert SMALL.grouped_ids() == (("a.jpg",), ("b.jpg", "é.jpg"))
    assert SMALL.group_of_pixels().tolist() == [1] * 6 + [0] + [1] * 6


def test_pixels_read_from_files_can_be_selected_from(tmp_path):
    for index in range(2):
        write_predictions(tmp_path / str(index), SMALL)
    read = [read_predictions(tmp_path / str(index)) for index in range(2)]
    selection = select_ensemble([one.pixels for one in read], SMALL.pixels, 3, image_ids=read[0].group_of_pixels())
    assert (selection.members, selection.miou, selection.crossfit_miou) == ((0,), 1.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "beef"}, r"run 1 and run 2 differ in their holdout's photos or labels.*'f00d' against 'beef'"),
        ({"fingerprint": "0123456789abcdef"}, r"'f00d' against '0123456789ab'; choose"),
        ({"edits": "e2"}, r"run 1 and run 2 differ in the edits of their holdout's labels.*'e1' against 'e2'"),
        (
            {"class_names": ("Background", "Glass", "Paper")},
            "differ in class names.*'Paper' against 'Glass' at index 1",
        ),
        ({"class_names": ("Background", "Paper", "Glass", "Metal")}, "differ in class names.*3 against 4"),
        ({"image_ids": ("b.jpg", "c.jpg", "é.jpg")}, "differ in image ids.*'a.jpg' against 'c.jpg' at index 1"),
        ({"sizes": ((3, 2), (1, 1), (3, 2))}, r"differ in sizes.*\(2, 3\) against \(3, 2\) at index 0"),
    ],
)
def test_predictions_of_different_holdouts_are_never_mixed(changes, message):
    with pytest.raises(PredictionsError, match=message):
        check_same_holdout(SMALL, replace(SMALL, **changes), first_name="run 1", second_name="run 2")


def test_predictions_of_one_holdout_may_differ_in_pixels():
    check_same_holdout(SMALL, replace(SMALL, pixels=np.zeros_like(SMALL.pixels), groups=(0, 1, 0)))
    check_same_holdout(SMALL, replace(SMALL, groups=()))


@pytest.mark.parametrize(
    ("ours", "theirs", "joined"),
    [
        ((), (4, 7, 4), [("a.jpg",), ("b.jpg", "é.jpg")]),
        ((4, 7, 4), (), [("a.jpg",), ("b.jpg", "é.jpg")]),
        ((1, 1, 2), (1, 2, 2), [("a.jpg", "b.jpg", "é.jpg")]),
        ((4, 4, 1), (4, 4, 1), [("a.jpg", "b.jpg"), ("é.jpg",)]),
        ((), (), [("a.jpg",), ("b.jpg",), ("é.jpg",)]),
    ],
)
def test_photos_that_either_of_two_keeps_together_are_together(ours, theirs, joined):
    first, second = (replace(SMALL, groups=groups) for groups in (ours, theirs))
    assert sorted(with_joined_groups(first, second).grouped_ids()) == joined


def test_version_2_had_no_groups(tmp_path):
    data = predictions._encode(SMALL)
    magic, _, size, _ = predictions.PREFIX.unpack_from(data)
    begin = predictions.PREFIX.size
    header = json.loads(data[begin : begin + size])
    del header["groups"]
    old = json.dumps(header).encode()
    prefix = predictions.PREFIX.pack(magic, 2, len(old), hashlib.sha256(old).digest())
    (tmp_path / "old").write_bytes(prefix + old + data[begin + size :])
    assert_same(read_predictions(tmp_path / "old"), replace(SMALL, groups=()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": SMALL.pixels.astype(int)}, r"pixels are int64 \(13,\), but must be uint8 \(13,\)"),
        ({"pixels": SMALL.pixels[:-1]}, r"pixels are uint8 \(12,\), but must be uint8 \(13,\)"),
        ({"pixels": SMALL.pixels + np.uint8(1)}, "pixels hold class id 3, but there are 3 classes"),
        ({"sizes": SMALL.sizes[:2]}, "2 sizes for 3 image ids"),
        ({"sizes": ((2, 3), (0, 1), (3, 2))}, r"the size of image 'a.jpg' is \(0, 1\)"),
        ({"image_ids": ("a", "b", "a")}, "image_ids name one thing twice: 'a'"),
        ({"image_ids": (1, 2, 3)}, "image_ids must be a tuple of strings"),
        ({"class_names": ()}, "there are 0 class_names, but must be 1 to 255"),
        ({"fingerprint": None}, "fingerprint must be a string, not None"),
        ({"edits": 7}, "edits must be a string, not 7"),
        ({"groups": (1, 2)}, "2 groups for 3 image ids"),
        ({"groups": (1, "2", 3)}, "groups must be a tuple of integers"),
        ({"pixels": np.where(SMALL.pixels == 1, 200, 255).astype(np.uint8)}, "pixels hold class id 200"),
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(PredictionsError, match=message):
        replace(SMALL, **changes)


def test_what_a_killed_writer_left_is_swept_with_other_files(tmp_path, monkeypatch):
    """The name is known to the package that sweeps, which this one does not import."""
    left = []
    monkeypatch.setattr(predictions.os, "replace", lambda temporary, path: left.append(temporary))
    monkeypatch.setattr(predictions.os, "getpid", lambda: 4194304)
    monkeypatch.setattr(predictions.Path, "unlink", lambda path, missing_ok: None)
    write_predictions(tmp_path / "holdout.predictions", SMALL)
    monkeypatch.undo()
    assert left[0].exists()
    write_text(tmp_path / "other", "")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_single_scene_is_held_out_in_stretches_that_follow_each_other():
    ids = tuple(f"{number:03d}.jpg" for number in range(25))
    film = Predictions(ids, ((1, 2),) * 25, ("a", "b"), "print", np.zeros(50, np.uint8), groups=(0,) * 25)
    stretches = film.held_out_ids()
    assert len(stretches) == 10
    assert [image for stretch in stretches for image in stretch] == list(ids)
    assert {len(stretch) for stretch in stretches} == {2, 3}
    assert np.diff(film.group_of_pixels()).max() == 1
    assert film.grouped_ids() == (ids,)
