"""What a prediction is written as, read back by others' means."""

import io
import json
import unicodedata
from contextlib import redirect_stdout
from pathlib import PurePosixPath

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ensembling.predict.submission import SubmissionFile
from ensembling.runs.ensemble import EnsembleRecord
from ensembling.runs.members import Ensemble
from search.commands.predict.outputs import Outputs, category_ids, png_names, save_png
from search.report.pictures import overlay, palette
from tests.trainables.data import made
from trainables import files
from trainables.data.photo_list import list_photos
from trainables.inference.tta import TestTimeAugmentation

CLASS_NAMES = ("Background", "Paper", "Glass")


def described(**known):
    return EnsembleRecord(class_names=CLASS_NAMES, members=(), **known)


ENSEMBLE = Ensemble("night", (), CLASS_NAMES, TestTimeAugmentation(), described())
MAPS = [np.random.default_rng(seed).integers(0, 3, (10, 20), dtype=np.uint8) for seed in range(3)]


@pytest.fixture
def listed(tmp_path):
    images = [made.image(number, f"batch/{number}.png") for number in (7, 3, 5)]
    categories = [{"id": 40, "name": "Glass"}, {"id": 9, "name": "Paper"}]
    made.write(tmp_path / "data", test={"images": images, "categories": categories})
    return list_photos(tmp_path / "data" / "test.json")


def written(listed, out, *kinds):
    assert list(Outputs(out, kinds, listed, ENSEMBLE).write(zip(listed.photos, MAPS))) == [1, 2, 3]
    return out


def test_class_maps_are_images_of_class_ids(listed, tmp_path):
    out = written(listed, tmp_path / "out", "maps")
    image = Image.open(out / "maps" / "batch" / "3.png")
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), MAPS[1])
    assert not (out / "overlays").exists()


def test_overlays_leave_background_as_it_was(listed, tmp_path):
    out = written(listed, tmp_path / "out", "overlays")
    painted = np.asarray(Image.open(out / "overlays" / "batch" / "7.png"))
    photo = np.asarray(Image.open(listed.photos[0].path))
    changed = (painted[: photo.shape[0], : photo.shape[1]] != photo).any(-1)
    assert not changed[MAPS[0] == 0].any()
    assert changed[MAPS[0] > 0].mean() > 0.9


def test_overlays_have_a_legend_and_the_labels_beside_what_was_predicted(listed, tmp_path):
    labels = dict(zip((photo.file_name for photo in listed.photos), MAPS[::-1]))
    outputs = Outputs(tmp_path, ("overlays",), listed, ENSEMBLE, truth=lambda photo: labels[photo.file_name])
    list(outputs.write(zip(listed.photos, MAPS)))
    picture = np.asarray(Image.open(tmp_path / "overlays" / "batch" / "7.png"))
    photo = np.asarray(Image.open(listed.photos[0].path))
    height, width = photo.shape[:2]
    colours = palette(3, background=True)
    assert np.array_equal(picture[:height, :width], overlay(photo, MAPS[0], colours))
    assert np.array_equal(picture[:height, width : 2 * width], overlay(photo, MAPS[2], colours))
    legend = picture[height:].reshape(-1, 3).tolist()
    assert all(colours[class_id].tolist() in legend for class_id in (1, 2))


def test_coco_results_are_the_maps_under_the_files_own_category_ids(listed, tmp_path):
    entries = json.loads((written(listed, tmp_path / "out", "coco") / "results.json").read_text())
    assert [entry["image_id"] for entry in entries] == [7, 7, 3, 3, 5, 5]
    for entry in entries:
        class_map = MAPS[[7, 3, 5].index(entry["image_id"])]
        class_id = {9: 1, 40: 2}[entry["category_id"]]
        assert np.array_equal(coco_mask.decode(entry["segmentation"]), class_map == class_id)


def test_the_images_of_a_folder_can_be_told_from_the_results(listed, tmp_path):
    folder = list_photos(tmp_path / "data" / "batch")
    out = written(folder, tmp_path / "out", "coco")
    with redirect_stdout(io.StringIO()):
        truth = COCO(str(out / "images.json"))
        results = truth.loadRes(str(out / "results.json"))
    assert [one["file_name"] for one in truth.dataset["images"]] == ["3.png", "5.png", "7.png"]
    assert {one["name"] for one in truth.dataset["categories"]} == {"Paper", "Glass"}
    for number, image in enumerate(truth.dataset["images"]):
        for entry in results.imgToAnns[image["id"]]:
            name = truth.cats[entry["category_id"]]["name"]
            assert np.array_equal(results.annToMask(entry), MAPS[number] == CLASS_NAMES.index(name))


def test_the_submission_has_the_photos_in_their_order(listed, tmp_path):
    file = SubmissionFile(written(listed, tmp_path / "out", "csv") / "submission.csv")
    assert file.image_ids == ("batch/7.png", "batch/3.png", "batch/5.png")
    resized = cv2.resize(MAPS[1], (256, 256), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(file.ids("batch/3.png"), resized.reshape(-1))


def test_without_objects_the_results_are_an_empty_list(listed, tmp_path):
    nothing = [np.zeros((10, 20), np.uint8)] * 3
    list(Outputs(tmp_path, ("coco",), listed, ENSEMBLE).write(zip(listed.photos, nothing)))
    assert json.loads((tmp_path / "results.json").read_text()) == []


def test_a_list_gets_its_name_at_the_end_alone(listed, tmp_path):
    def breaks_off():
        yield listed.photos[0], MAPS[0]
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        list(Outputs(tmp_path / "out", ("csv", "coco", "maps"), listed, ENSEMBLE).write(breaks_off()))
    left = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left == {"7.png"}


def test_category_ids_are_all_of_one_source():
    classes = {1: "Paper", 2: "Glass"}
    assert category_ids(classes, {"Glass": 40, "Paper": 9}, {"Glass": 0, "Paper": 1}) == {1: 9, 2: 40}
    assert category_ids(classes, {"Glass": 1}, {"Glass": 0, "Paper": 1}) == {1: 1, 2: 0}
    assert category_ids(classes, {"Glass": 1}, {}) == {1: 1, 2: 2}


def test_a_category_named_background_is_a_class_where_the_rest_is_ignored(listed, tmp_path):
    everything = {"unlabelled": "ignore", "category_ids": {"Background": 0, "Paper": 5, "Glass": 6}}
    ensemble = Ensemble("night", (), ENSEMBLE.class_names, TestTimeAugmentation(), described(**everything))
    list(Outputs(tmp_path, ("coco",), listed, ensemble).write(zip(listed.photos, MAPS)))
    entries = json.loads((tmp_path / "results.json").read_text())
    assert [entry["category_id"] for entry in entries] == [0, 5, 6] * 3


@pytest.mark.parametrize(
    ("photos", "expected"),
    [
        (["a.jpg", "b/a.jpg", "b/c.png"], ["a.png", "b/a.png", "b/c.png"]),
        (["a.jpg", "b/a.jpg", "b/a.png"], ["a.png", "b/a.jpg.png", "b/a.png.png"]),
        (["./b//a.jpg"], ["b/a.png"]),
        (["A.jpg", "a.png"], ["A.jpg.png", "a.png.png"]),
        (["a.jpg", "a.png/b.jpg"], ["a.jpg.png", "a.png/b.png"]),
        (["a", "a.jpg", "a.png"], ["a.png", "a.jpg.png", "a.png.png"]),
    ],
)
def test_photos_whose_names_differ_little_have_files_of_their_own(photos, expected):
    assert png_names(photos) == expected


NAMES = st.lists(
    st.sampled_from(["a", "A", "a.jpg", "a.png", "a.jpg~1", "a.png~2", "é", "e\u0301"]), min_size=1, max_size=3
)


@given(st.lists(NAMES.map("/".join), unique=True, max_size=8))
def test_no_two_photos_share_a_file(photos):
    """Nor is the file of one the folder of another, on a disk that takes capitals and compositions for the same."""
    keys = [unicodedata.normalize("NFC", name).casefold() for name in png_names(photos)]
    assert len(set(keys)) == len(photos)
    assert not {str(parent) for key in keys for parent in PurePosixPath(key).parents} & set(keys)


def test_long_names_are_cut_and_stay_apart(tmp_path):
    photos = [f"{'é' * 120}{number}.jpg" for number in range(3)]
    names = png_names(photos)
    assert len(set(names)) == 3
    for name in names:
        save_png(Image.new("P", (2, 2)), tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_a_killed_writer_left_is_swept(listed, tmp_path):
    """Of a process that is gone, on this machine."""
    (tmp_path / "maps" / "batch").mkdir(parents=True)
    left = tmp_path / "maps" / "batch" / f".9.png.{files._host()}-4194304.0123abcd.tmp"
    left.touch()
    list(Outputs(tmp_path, ("maps",), listed, ENSEMBLE).write(zip(listed.photos, MAPS)))
    assert sorted(path.name for path in (tmp_path / "maps" / "batch").iterdir()) == ["3.png", "5.png", "7.png"]


def test_what_is_left_out_or_doubtful_is_listed_beside_the_photos(tmp_path):
    made.write_photo(tmp_path / "a.png", 20, 10)
    (tmp_path / "b.avif").touch()
    assert list_photos(tmp_path).notes == (f"left out of {tmp_path}: 1 .avif (b.avif)",)
