"""Photo files as cameras and tools write them: turned, deep, large, replaced, and what is no photo at all."""

import io
import json
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.made import annotation, coco, image, small, write, write_photo
from trainables.data import load_dataset, pack
from trainables.data.photo_list import list_photos
from trainables.data.photos.photo_files import PhotoError, decode_photo, inspect_header, inspect_photos
from trainables.data.photos.tones import say_whites
from trainables.errors import UserError

STORED = np.zeros((24, 32, 3), np.uint8)  # a colour for each quarter
STORED[:12, :16], STORED[:12, 16:], STORED[12:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
TURNED = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.transpose(1, 0, 2),
    6: np.rot90(STORED, -1),
    7: STORED[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(STORED),
}


def encoded(kind: str, orientation: int) -> bytes:
    """The photo STORED with that EXIF orientation."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    if kind == "TIFF of 16 bits":
        return _with_orientation(
            cv2.imencode(".tiff", STORED[..., ::-1].astype(np.uint16) * 257)[1].tobytes(), orientation
        )
    if kind == "PNG, EXIF last":
        Image.fromarray(STORED).save(file, "PNG")
        chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        end = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return file.getvalue()[:-12] + end + file.getvalue()[-12:]
    quality = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"quality": 100, "lossless": True}}.get(kind, {})
    Image.fromarray(STORED).save(file, kind, exif=exif if kind == "TIFF" else exif.tobytes(), **quality)
    return file.getvalue()


def _with_orientation(tiff: bytes, orientation: int) -> bytes:
    """A little-endian TIFF with that orientation in a new directory of tags at its end."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    entries = [tiff[start + 2 + 12 * place :][:12] for place in range(count)]
    entries = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != 274]
    entries = sorted([*entries, struct.pack("<HHIHH", 274, 3, 1, orientation, 0)], key=lambda one: one[1::-1])
    tags = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + tags


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "PNG, EXIF last", "TIFF", "TIFF of 16 bits"])
@pytest.mark.parametrize("stated", ["stored", "shown"])
def test_every_turn_in_every_kind_of_file_follows_the_stated_size(tmp_path, kind, orientation, stated):
    expected = STORED if stated == "stored" else TURNED[orientation]
    height, width = expected.shape[:2]
    train = coco([image(1, "a", width, height)], [annotation(1, 1, 1)])
    write(tmp_path, photos=False, train=train)
    (tmp_path / "a").write_bytes(encoded(kind, orientation))
    dataset = load_dataset(tmp_path)
    found = pack(dataset, (height, width), tmp_path / "cache").images[0]
    ambiguous = orientation in (2, 3, 4)
    assert ["EXIF orientation" in problem.what for problem in dataset.problems] == [True] * ambiguous
    np.testing.assert_allclose(found.astype(int), TURNED[orientation] if ambiguous else expected, atol=40)


def test_a_listed_photo_is_turned_as_it_is_shown(tmp_path):
    for number, kind in enumerate(("JPEG", "PNG", "TIFF", "WEBP")):
        (tmp_path / f"{number}.{kind.lower()}").write_bytes(encoded(kind, 6))
    for photo in list_photos(tmp_path).photos:
        assert photo.size == (32, 24)
        found = decode_photo(photo.path.read_bytes(), photo.size, photo.size)
        np.testing.assert_allclose(found.astype(int), TURNED[6], atol=40)


RAMP = np.linspace(0, 1, 64)
DEEP = {  # of samples from 0 to white, what is written
    "8 of 16 bits": (np.uint16, 255, ".png"),
    "10 of 16 bits": (np.uint16, 1023, ".png"),
    "12 of 16 bits": (np.uint16, 4095, ".png"),
    "14 of 16 bits": (np.uint16, 16383, ".png"),
    "16 bits": (np.uint16, 65535, ".png"),
    "12 of 16 bits, TIFF": (np.uint16, 4095, ".tif"),
    "8 of 32 bits": (np.int32, 255, ".tif"),
    "16 of 32 bits": (np.int32, 65535, ".tif"),
    "fractions up to 1": (np.float32, 1, ".tif"),
    "fractions up to 255": (np.float32, 255, ".tif"),
    "fractions up to 65535": (np.float32, 65535, ".tif"),
}


def write_deep(path, dtype, white, *, channels=1):
    samples = np.tile(RAMP * white, (16, 1)).astype(dtype)
    if channels == 1:
        Image.fromarray(samples).save(path)
    else:
        cv2.imwrite(str(path), np.repeat(samples[..., None], channels, axis=-1))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("dtype", "white", "suffix"), DEEP.values(), ids=DEEP)
def test_deep_samples_keep_their_tones(tmp_path, dtype, white, suffix, channels):
    if channels > 1 and dtype is not np.uint16:
        pytest.skip("Pillow knows no coloured photo of such samples: see the next test")
    name = f"a{suffix}"
    train = coco([image(1, name, 64, 16)], [annotation(1, 1, 1)])
    write(tmp_path, photos=False, train=train)
    write_deep(tmp_path / name, dtype, white, channels=channels)
    dataset = load_dataset(tmp_path)
    found = pack(dataset, (16, 64), tmp_path / "cache").images[0]
    np.testing.assert_allclose(found[3, :, 0], 255 * RAMP, atol=1.01)
    said = [problem.what for problem in dataset.problems]
    if white in (255, 65535):
        assert not said
    else:
        assert len(said) == 1
        assert said[0].endswith(f"such as {name}, are read with {white} as white")


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.linspace(-1, 1, 64, dtype=np.float32), "has samples from -1 to 1, .* convert it to 8 bits"),
        (np.full(64, np.nan, np.float32), "not finite"),
        (np.linspace(0, 3, 64, dtype=np.float32), "fractions up to 3, and neither 1 nor 255"),
        (np.linspace(0, 1e6, 64).astype(np.int32), r"has samples from 0 to 1e\+06"),
        (np.linspace(-5, 90, 64).astype(np.int32), "has samples from -5 to 90"),
    ],
)
def test_samples_that_are_no_tones_are_refused(tmp_path, samples, said):
    write(tmp_path, photos=False, train=coco([image(1, "a.tif", 64, 16)], [annotation(1, 1, 1)]))
    Image.fromarray(np.tile(samples, (16, 1))).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=rf"id 1: a\.tif {said}" if said.startswith("has") else said):
        load_dataset(tmp_path)
    with pytest.raises(UserError, match=said):
        list_photos(tmp_path / "train.json")


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.float64])
def test_a_coloured_tiff_that_pillow_does_not_know_is_told(tmp_path, dtype):
    write_deep(tmp_path / "a.tif", dtype, 1, channels=3)
    with pytest.raises(PhotoError, match="is a TIFF of a kind that is not read; convert it to 8 bits"):
        inspect_header(tmp_path / "a.tif")


def test_photos_of_several_whites_are_told_apart():
    assert say_whites([("a", 255.0), ("b", 65535.0)]) == []
    said = say_whites([("a", 4095.0), ("b", 65535.0), ("c", 4095.0)])
    assert said[0].startswith("2 photos with samples wider than a byte, such as a, are read with 4095 as white (other")
    assert said[1].startswith("1 photos with samples wider than a byte, such as b, are read with 65535 as white")


def test_larger_photos_are_taken_with_a_flag_that_is_named(tmp_path):
    write(tmp_path, train=coco([image(1, "a.png", 1200, 1000)], [annotation(1, 1, 1)]))
    said = r"id 1: a\.png has 1200x1000 pixels, 1\.2 megapixels, and up to 1 are taken; allow it by --max-megapixels 2"
    with pytest.raises(UserError, match=said):
        load_dataset(tmp_path, max_megapixels=1)
    with pytest.raises(UserError, match="--max-megapixels 2"):
        list_photos(tmp_path, max_megapixels=1)
    assert load_dataset(tmp_path, max_megapixels=2).images[0].width == 1200
    assert len(list_photos(tmp_path, max_megapixels=2).photos) == 1


@pytest.mark.filterwarnings("error")
def test_pillows_own_limit_on_pixels_is_not_met(tmp_path):
    """A header of 14000x13000 alone: Pillow would call it an attack."""
    file = io.BytesIO()
    Image.new("1", (14000, 13000)).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    with pytest.raises(PhotoError, match=r"182\.0 megapixels"):
        inspect_header(tmp_path / "a.png")
    assert inspect_header(tmp_path / "a.png", max_megapixels=182).width == 14000


def of_stated_size(path, width, height):
    """A PNG of 16 bits and 20x10 pixels whose head states another size."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((10, 20), np.uint16)).save(file, "PNG")
    head = b"IHDR" + struct.pack(">II", width, height) + file.getvalue()[24:29]
    path.write_bytes(file.getvalue()[:12] + head + struct.pack(">I", zlib.crc32(head)) + file.getvalue()[33:])


@pytest.mark.parametrize("inspect", [inspect_header, lambda path: inspect_photos([path], None)[0]])
def test_samples_of_many_bits_are_not_decoded_where_there_are_too_many(tmp_path, inspect):
    of_stated_size(tmp_path / "a.png", 14000, 13000)
    try:
        error = inspect(tmp_path / "a.png")
    except PhotoError as raised:
        error = raised
    assert "182.0 megapixels" in str(error)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_regular_file_does_not_hang(tmp_path):
    train = small()
    write(tmp_path, train=train)
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"id 1: a\.png is no regular file"):
        load_dataset(tmp_path)
    with pytest.raises(UserError, match=r"id 1: a\.png is no regular file"):
        list_photos(tmp_path / "train.json")
    assert "1 no regular files (a.png)" in list_photos(tmp_path).notes[0]


@pytest.mark.parametrize(
    "memo",
    ["1", "[1, 2]", '{"half', '{"PATH": 7}', '{"PATH": [[1, 2], 3]}', '{"PATH": [KEY, ["a", "b"]]}', "[" * 100_000,
     '{"PATH": [KEY, ["a", 1, 2, 3, null]]}', b"\xff\xfe\xfd"],
)  # fmt: skip
def test_a_memo_that_is_not_one_is_written_anew(tmp_path, memo):
    photo, path = tmp_path / "a.png", tmp_path / "memo.json"
    write_photo(photo, 20, 10)
    expected = inspect_photos([photo], path)
    (key, _) = json.loads(path.read_text())[str(photo)]
    content = memo if isinstance(memo, bytes) else memo.replace("PATH", str(photo)).replace("KEY", str(key)).encode()
    path.write_bytes(content)
    assert inspect_photos([photo], path) == expected
    assert list(json.loads(path.read_text())) == [str(photo)]


def test_a_memo_can_be_read_by_others(tmp_path):
    write_photo(tmp_path / "a.png", 20, 10)
    umask = os.umask(0o022)
    try:
        inspect_photos([tmp_path / "a.png"], tmp_path / "memo.json")
    finally:
        os.umask(umask)
    assert (tmp_path / "memo.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_complete_cache_that_may_not_be_written_to_is_used(tmp_path):
    root, cache = write(tmp_path / "data", train=small()), tmp_path / "cache"
    expected = pack(load_dataset(root, cache_dir=cache), (10, 20), cache).images
    for memo in cache.glob("photos-*"):
        memo.chmod(0)
    cache.chmod(0o555)
    try:
        found = pack(load_dataset(root, cache_dir=cache), (10, 20), cache).images
    finally:
        cache.chmod(0o755)
    np.testing.assert_array_equal(found, expected)


def test_a_memo_that_cannot_be_written_does_not_matter(tmp_path):
    """Nor one that cannot be read: here it is a directory."""
    root, cache = write(tmp_path / "data", train=small()), tmp_path / "cache"
    before = load_dataset(root, cache_dir=cache)
    (memo,) = cache.glob("photos-*.json")
    memo.unlink()
    memo.mkdir()
    (memo / "x").touch()
    assert load_dataset(root, cache_dir=cache) == before
