"""Which photos from elsewhere may be trained on beside a holdout."""

import io

import numpy as np
from PIL import Image

from tests.trainables.data.made import annotation, coco, image, write
from tests.trainables.data.scenes.pictures import dataset_of, picture
from tests.trainables.data.scenes.test_finding import film
from trainables.data import load_dataset
from trainables.data.scenes import Apart, rows_apart


def blurred(photo: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo).resize((128, 128)).save(stream, "JPEG", quality=40)
    return stream.getvalue()


def test_copies_of_any_labelled_photo_are_left_out_whatever_their_bytes(tmp_path):
    labelled = dataset_of(tmp_path / "data", {f"{number}x.jpg": picture(number) for number in range(5)})
    same = labelled.images[4].path.read_bytes()
    photos = {"a.jpg": blurred(picture(0)), "b.jpg": blurred(picture(3)), "c.jpg": same, "d.jpg": picture(9)}
    others = dataset_of(tmp_path / "others", photos)
    assert rows_apart(others, labelled, holdout=(0, 1)) == Apart((3,), copies=3, frames=0, shared=0)


def test_frames_of_a_scene_that_only_the_holdout_has_are_left_out(tmp_path):
    """Two drives: every other frame of each is labelled; the photos from elsewhere are those between them."""
    drives = {"a": film(1, 12), "b": film(2, 12)}
    names = [(drive, number) for drive in drives for number in range(12)]
    singles = {f"single{seed}x.jpg": picture(50 + seed) for seed in range(20)}
    own = {f"{drive}_{number}.jpg": drives[drive][number] for drive, number in names if number % 2 == 0}
    between = {f"{drive}_{number}.jpg": drives[drive][number] for drive, number in names if number % 2}
    labelled = dataset_of(tmp_path / "data", own | singles)
    others = dataset_of(tmp_path / "others", between)
    drive_a, one_of_a = tuple(range(6)), (0,)
    assert rows_apart(others, labelled, holdout=drive_a) == Apart(tuple(range(6, 12)), copies=0, frames=6, shared=0)
    assert rows_apart(others, labelled, holdout=one_of_a) == Apart(tuple(range(12)), copies=0, frames=0, shared=6)


def test_a_test_is_scored_where_it_has_labels(tmp_path):
    splits = {split: coco([image(1, f"{split}.png")], [annotation(1, 1, 1)]) for split in ("train", "val", "test")}
    labelled = load_dataset(write(tmp_path / "data", **splits))
    others = dataset_of(
        tmp_path / "others",
        {f"{one.row}.png": one.path.read_bytes() for one in labelled.images} | {"n.jpg": picture(7)},
    )
    assert rows_apart(others, labelled, labelled.rows("val")).rows == (3,)
    write(tmp_path / "data", photos=False, test={"images": splits["test"]["images"]})  # its labels are hidden
    assert rows_apart(others, load_dataset(tmp_path / "data"), labelled.rows("val")).rows == (2, 3)
