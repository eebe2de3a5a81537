"""The packed cache: what is in it, that it is built once, and never read half."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.made import annotation, box, coco, image, real, small, write, write_photo
from trainables.data import load_dataset, open_packed, pack
from trainables.data.batches.packed import packed_directory
from trainables.errors import UserError

ROOT = Path(__file__).resolve().parents[4]

# Packs argv[1] into argv[2]. Each photo done is written to standard output; with a third argument all stop after the
# first one, to be killed there.
PACKER = """
import sys, time
from trainables.data import load_dataset, pack

def told(done, total):
    print("photo", flush=True)
    time.sleep(600 if len(sys.argv) > 3 else 0)

dataset = load_dataset(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
pack(dataset, (16, 24), sys.argv[2], progress=told)
"""


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", PACKER, *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def several(count: int = 12) -> dict:
    images = [image(number, f"{number}.png", 20 + number, 10) for number in range(count)]
    return coco(images, [annotation(number, number, 1 + number % 2) for number in range(count)])


@pytest.fixture
def dataset(tmp_path):
    test = {"images": [image(1, "t.png", 30, 30)]}
    return load_dataset(write(tmp_path / "data", train=several(), test=test))


def test_rows_hold_the_photos_and_masks_of_the_data_set(dataset, tmp_path):
    packed = pack(dataset, (16, 24), tmp_path)
    assert (packed.images.shape, packed.images.dtype) == ((13, 16, 24, 3), np.uint8)
    assert (packed.masks.shape, packed.masks.dtype) == ((13, 16, 24), np.uint8)
    assert packed.sizes == tuple((one.height, one.width) for one in dataset.images)
    assert packed.image_ids == (*range(12), 1)
    assert packed.file_names[3] == "3.png"
    assert (packed.fingerprint, packed.image_size, len(packed)) == (dataset.fingerprint, (16, 24), 13)
    for row, one in enumerate(dataset.images[:12]):
        photo = Image.open(one.path).resize((24, 16), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(packed.images[row], np.asarray(photo))
        painted = dataset.mask(row)
        np.testing.assert_array_equal(packed.full_mask(row), painted)
        nearest = painted[(np.arange(16) * 10 + 5) // 16][:, ((np.arange(24) + 0.5) * one.width / 24).astype(int)]
        np.testing.assert_array_equal(packed.masks[row], nearest)
    packed.verify()


def test_photos_of_the_wanted_size_are_kept_to_the_pixel(tmp_path):
    dataset = load_dataset(write(tmp_path / "data", train=small()))
    packed = pack(dataset, (10, 20), tmp_path)
    np.testing.assert_array_equal(packed.images[1], np.asarray(Image.open(tmp_path / "data" / "b.png")))
    np.testing.assert_array_equal(packed.masks[1], packed.full_mask(1))


def test_large_photos_are_reduced_to_their_mean_colours(tmp_path):
    write(tmp_path / "data", photos=False, train=coco([image(1, "a.jpg", 1600, 1200)], [annotation(1, 1, 1)]))
    pixels = np.zeros((1200, 1600, 3), np.uint8)
    pixels[:, ::2, 0] = 200
    pixels[600:, :, 1] = 250
    Image.fromarray(pixels).save(tmp_path / "data" / "a.jpg", quality=100, subsampling=0)
    packed = pack(load_dataset(tmp_path / "data"), (24, 32), tmp_path)
    np.testing.assert_allclose(packed.images[0, :11], np.broadcast_to([100, 0, 0], (11, 32, 3)), atol=4)
    np.testing.assert_allclose(packed.images[0, 13:], np.broadcast_to([100, 250, 0], (11, 32, 3)), atol=4)


def test_unlabelled_test_images_are_ignored_throughout(dataset, tmp_path):
    packed = pack(dataset, (16, 24), tmp_path)
    assert (packed.full_mask(12) == 255).all()
    assert (packed.full_mask(-1) == 255).all()
    assert (packed.masks[12] == 255).all()
    with pytest.raises(IndexError, match="out of range"):
        packed.full_mask(13)


def test_small_and_large_objects_and_ignored_pixels_reach_the_cache(tmp_path):
    train = coco([image(1, "a.png")], [annotation(1, 1, 2, box(4, 4, 2, 2)), annotation(2, 1, 1, box(0, 0, 10, 10))])
    dataset = load_dataset(write(tmp_path / "data", train=train), unlabelled="ignore")
    mask = pack(dataset, (10, 20), tmp_path).full_mask(0)
    assert (mask[5, 5], mask[0, 0], mask[0, 15]) == (1, 0, 255)


def test_the_arrays_cannot_be_written_to(dataset, tmp_path):
    packed = pack(dataset, (16, 24), tmp_path)
    for array in (packed.images, packed.masks, packed.full_mask(0)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_it_travels_as_a_path(dataset, tmp_path):
    packed = pack(dataset, (16, 24), tmp_path)
    data = pickle.dumps(packed)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).images, packed.images)


def test_a_second_pack_builds_nothing(dataset, tmp_path):
    seen = []
    pack(dataset, (16, 24), tmp_path, progress=lambda *counts: seen.append(counts))
    assert seen == [(done, 13) for done in range(1, 14)]
    for one in dataset.images:
        one.path.unlink()
    assert len(pack(dataset, (16, 24), tmp_path, progress=lambda *counts: seen.append(counts))) == 13
    assert len(seen) == 13


def test_another_size_or_data_set_has_its_own_cache(dataset, tmp_path):
    first = pack(dataset, (16, 24), tmp_path)
    assert pack(dataset, (8, 8), tmp_path).images.shape == (13, 8, 8, 3)
    write_photo(tmp_path / "data" / "3.png", 23, 10, seed=77)
    changed = pack(load_dataset(tmp_path / "data"), (16, 24), tmp_path)
    assert changed.directory != first.directory
    assert not np.array_equal(changed.images[3], first.images[3])
    np.testing.assert_array_equal(changed.images[4], first.images[4])


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: os.truncate(directory / "images.bin", 100),
        lambda directory: os.truncate(directory / "full_masks.bin", 100),
        lambda directory: (directory / "masks.bin").unlink(),
        lambda directory: (directory / "header.json").write_text('{"version": 1'),
        lambda directory: (directory / "header.json").write_text('{"version": 0}'),
        lambda directory: (directory / "header.json").unlink(),
        lambda directory: change_header(directory, fingerprint="0" * 64),
    ],
)
def test_a_damaged_cache_is_built_anew(dataset, tmp_path, damage):
    expected = np.array(pack(dataset, (16, 24), tmp_path).images)
    damage(packed_directory(tmp_path, dataset.fingerprint, (16, 24)))
    packed = pack(dataset, (16, 24), tmp_path)
    packed.verify()
    assert packed.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(packed.images, expected)


def change_header(directory: Path, **values: object) -> None:
    header = json.loads((directory / "header.json").read_text())
    (directory / "header.json").write_text(json.dumps({**header, **values}))


def test_opening_what_is_not_complete_says_so(dataset, tmp_path):
    with pytest.raises(UserError, match=r"nothing: no readable cache .*delete it, it is built again"):
        open_packed(tmp_path / "nothing")
    directory = pack(dataset, (16, 24), tmp_path).directory
    os.truncate(directory / "masks.bin", 9)
    with pytest.raises(UserError, match="files of a wrong size or version; delete it"):
        open_packed(directory)


def test_verify_finds_a_changed_byte(dataset, tmp_path):
    packed = pack(dataset, (16, 24), tmp_path)
    with (packed.directory / "masks.bin").open("r+b") as file:
        file.seek(50)
        file.write(b"\x09")
    with pytest.raises(UserError, match=r"masks\.bin is damaged: delete"):
        packed.verify()


def test_truncated_photos_are_all_listed_and_leave_no_cache(tmp_path):
    write(
        tmp_path / "data",
        photos=False,
        train=coco([image(n, f"{n}.jpg", 64, 64) for n in range(6)], [annotation(1, 1, 1)]),
    )
    for number in range(6):
        path = tmp_path / "data" / f"{number}.jpg"
        write_photo(path, 64, 64, seed=number)
        if number in (2, 4):
            path.write_bytes(path.read_bytes()[:1500])
    dataset = load_dataset(tmp_path / "data")
    with pytest.raises(
        UserError, match=r"2 faults.*\n.*id 2: 2\.jpg is truncated .*restore.*\n.*id 4: 4\.jpg is trunc"
    ):
        pack(dataset, (16, 24), tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_photo_that_changed_after_the_check_stops(dataset, tmp_path):
    write_photo(dataset.images[5].path, 25, 10, seed=4)
    with pytest.raises(UserError, match=r"id 5: 5\.png changed while the cache was built: start again"):
        pack(dataset, (16, 24), tmp_path)


def test_a_place_that_cannot_be_written_is_told(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"cannot write the cache .* it takes .* GiB; free some space or choose another"
    ):
        pack(dataset, (16, 24), tmp_path / "file")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    dataset = load_dataset(write(tmp_path / "data", train=several()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write the cache .*File too large"):
            pack(dataset, (16, 24), tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_killed_build_is_never_read_and_is_cleared_away(tmp_path):
    data, cache = write(tmp_path / "data", train=several()), tmp_path / "cache"
    victim = start(data, cache, "stop")
    go(victim)
    assert victim.stdout.readline() == "photo\n"
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    dataset = load_dataset(data)
    directory = packed_directory(cache, dataset.fingerprint, (16, 24))
    (left,) = cache.glob(f".{directory.name}.*")
    assert (left / "images.bin").exists()
    assert not directory.exists()
    packed = pack(dataset, (16, 24), cache)
    packed.verify()
    assert not left.exists()
    assert sorted(path.name for path in cache.iterdir()) == [directory.name, f"{directory.name}.lock"]


def test_of_two_processes_one_builds_and_both_read(tmp_path):
    data, cache = write(tmp_path / "data", train=several(60)), tmp_path / "cache"
    processes = [start(data, cache) for _ in range(2)]
    for process in processes:
        go(process)
    lines = [process.communicate()[0].count("photo") for process in processes]
    assert sorted(lines) == [0, 60]
    assert [process.returncode for process in processes] == [0, 0]


def test_while_another_builds_pack_waits(tmp_path):
    data, cache = write(tmp_path / "data", train=several()), tmp_path / "cache"
    builder = start(data, cache, "stop")
    go(builder)
    assert builder.stdout.readline() == "photo\n"
    waiting = start(data, cache)
    go(waiting)
    time.sleep(0.3)
    assert waiting.poll() is None
    os.kill(builder.pid, signal.SIGKILL)
    builder.communicate()
    assert waiting.communicate()[0].count("photo") == 12
    assert waiting.returncode == 0


def test_real_photos_are_packed_with_their_own_masks(tmp_path):
    dataset = load_dataset(real("recycle60"), cache_dir=tmp_path)
    packed = pack(dataset, (64, 64), tmp_path)
    assert packed.full_mask(0).shape == (512, 512)
    shares = np.bincount(np.concatenate([packed.masks[row].ravel() for row in dataset.rows("train")]), minlength=11)
    assert shares[8] / shares.sum() == pytest.approx(0.1173, abs=0.003)
    assert shares[9] == 0
    assert packed.images.mean() > 40
