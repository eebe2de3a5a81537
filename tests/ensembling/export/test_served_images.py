"""What a served model may be asked, and what it answers in."""

import base64

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ensembling.export.served_images import read_images
from trainables.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
SMALL = PIXELS[:4, :5]


@pytest.fixture
def file(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def read(asked, tmp_path):
    return read_images(asked, tmp_path / "request")


@pytest.mark.parametrize(
    ("asked", "shapes", "form"),
    [
        (PIXELS, [(6, 8, 3)], "one"),
        (PIXELS.tolist(), None, "list"),
        (np.array(PIXELS.tolist()), [(6, 8, 3)], "one"),  # what MLflow makes of a nested list
        (np.stack([PIXELS, PIXELS]), [(6, 8, 3)] * 2, "stack"),
        ([PIXELS, SMALL], [(6, 8, 3), (4, 5, 3)], "list"),
        ([PIXELS.tolist(), SMALL.tolist()], [(6, 8, 3), (4, 5, 3)], "list"),
        ({"image": np.stack([PIXELS, PIXELS])}, [(6, 8, 3)] * 2, "list"),
        ([{"image": PIXELS}, {"image": SMALL}], [(6, 8, 3), (4, 5, 3)], "list"),
    ],
)
def test_images_in_memory(tmp_path, asked, shapes, form):
    if shapes is None:  # rows of an image are no images
        with pytest.raises(UserError, match=r"has the shape \(8, 3\)"):
            read(asked, tmp_path)
        return
    images = read(asked, tmp_path)
    assert [one.shape for one in images.arrays] == shapes
    assert all(one.dtype == np.uint8 for one in images.arrays)
    assert np.array_equal(images.arrays[0], PIXELS)
    assert images.form == form
    assert not images.photos


@pytest.mark.parametrize(
    "ask",
    [
        lambda path: path,
        lambda path: [path],
        lambda path: np.array([path]),
        lambda path: np.array([path], dtype=object),
        lambda path: {"path": np.array([path])},
        lambda path: {"path": np.array(path)},
        lambda path: [{"path": path}],
        lambda path: [{"path": np.array(path)}],
        lambda path: pd.DataFrame({"path": [path], "taken": [1]}),
    ],
)
def test_paths(tmp_path, file, ask):
    photo = read(ask(str(file)), tmp_path).photos[0]
    assert (photo.path, photo.size) == (file, (6, 8))


@pytest.mark.parametrize(
    "ask",
    [
        lambda data: pd.DataFrame({"image": [base64.b64encode(data).decode()]}),
        lambda data: pd.DataFrame({"image": [data]}),
        lambda data: {"image": np.array([base64.b64encode(data).decode()])},
        lambda data: [{"image": np.array(base64.b64encode(data).decode())}],
    ],
)
def test_encoded_photo_files_stay_files(tmp_path, file, ask):
    photo = read(ask(file.read_bytes()), tmp_path).photos[0]
    assert photo.path.read_bytes() == file.read_bytes()
    assert photo.size == (6, 8)


@pytest.mark.parametrize(
    "write",
    [
        lambda data: base64.encodebytes(data).decode(),
        lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
        lambda data: base64.urlsafe_b64encode(data).decode(),
        lambda data: f"data:image/png;base64,{base64.b64encode(data).decode()}",
    ],
)
def test_base64_may_be_written_as_programs_write_it(tmp_path, file, write):
    photo = read(pd.DataFrame({"image": [write(file.read_bytes())]}), tmp_path).photos[0]
    assert photo.path.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "holds no image"),
        (3, "holds no image"),
        (np.array([]), "holds no image"),
        (np.zeros((0, 4, 4, 3), np.uint8), "holds no image"),
        (pd.DataFrame({"image": []}), "holds no image"),
        (pd.DataFrame({"path": []}), "holds no image"),
        (PIXELS[..., 0], r"shape \(6, 8\), but must be \(H, W, 3\)"),
        (PIXELS[None, None], r"shape \(1, 1, 6, 8, 3\), but must be"),
        ([[[[1, 2, 3], [1, 2]], [[1, 2, 3]]]], "image 1 of the request has rows of unequal lengths"),
        (PIXELS / 255, "pixels are float64, but must be whole numbers"),
        (["A" * 5000], "path 1 of the request is no path, but a text of 5000 characters: base64 goes into a column"),
        ("data:image/png;base64,iVBO", "path 1 of the request is no path, but a text of 26 characters"),
        (np.zeros((4, 4, 4), np.uint8), r"shape \(4, 4, 4\), but must be"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\), but must be"),
        ([PIXELS / 255], "pixels are float64, but must be whole numbers"),
        (PIXELS.astype(int) + 200, "pixels are int64, but must be whole numbers"),
        ("nowhere.png", r"nowhere\.png cannot be read"),
        (pd.DataFrame({"file": ["a.png"]}), "the request has the columns file"),
        (pd.DataFrame({"path": ["a.png"], "image": ["b"]}), "the request has the columns path, image"),
        (pd.DataFrame({"path": [3]}), "path 1 of the request is 3"),
        (pd.DataFrame({"image": ["no base64!"]}), "image-1 of the request is not base64"),
        (pd.DataFrame({"image": [base64.b64encode(b"no photo").decode()]}), "image-1 is no image of a known kind"),
    ],
)
def test_what_is_no_image_is_said(tmp_path, asked, said):
    with pytest.raises(UserError, match=said):
        read(asked, tmp_path)


def test_the_answer_has_the_form_of_the_request(tmp_path):
    maps = [np.zeros((6, 8), np.uint8), np.ones((6, 8), np.uint8)]
    assert read(PIXELS, tmp_path).answer(maps[:1]).shape == (6, 8)
    assert read(np.stack([PIXELS, PIXELS]), tmp_path).answer(maps).shape == (2, 6, 8)
    assert read([PIXELS, SMALL], tmp_path).answer(maps) is maps


@pytest.mark.parametrize("path", ["photo\0.png", "photo\ud83d.png"])
def test_a_path_that_no_file_can_have_is_said(tmp_path, path):
    with pytest.raises(UserError, match=r"path 1 of the request is not a valid file name .*: '"):
        read([path], tmp_path)
