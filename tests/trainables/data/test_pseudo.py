"""Pseudo-labels: what is written is COCO for anyone, and comes back pixel by pixel."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tests.trainables.data.made import CATEGORIES, annotation, coco, image, write, write_photo
from trainables.data import pack
from trainables.data.pseudo import load_pseudo, write_pseudo
from trainables.errors import UserError

NAMES = ("Background", "Paper", "Glass")
H, W = 10, 20


def class_map(seed=0, classes=3):
    return np.random.default_rng(seed).integers(0, classes, (H, W)).astype(np.uint8)


def agreement(votes=3):
    return np.full((H, W), votes, np.uint8)


@pytest.fixture
def items(tmp_path):
    """Makes an item: a photo on disk, its file name, a class map and an agreement."""

    def make(name="a.png", pixels=None, votes=None, seed=0):
        write_photo(tmp_path / "photos" / name, W, H, seed)
        pixels = class_map(seed) if pixels is None else pixels
        return tmp_path / "photos" / name, name, pixels, agreement() if votes is None else votes

    return make


def read_masks(out, tmp_path, names=NAMES, unlabelled="background"):
    dataset = load_pseudo(out, names, unlabelled=unlabelled)
    return pack(dataset, (H, W), tmp_path / "cache").masks


def test_class_maps_come_back_and_doubtful_pixels_are_ignored(items, tmp_path):
    votes = np.random.default_rng(1).integers(1, 4, (2, H, W)).astype(np.uint8)
    made = [items("a.png", votes=votes[0]), items("below/b.png", votes=votes[1], seed=1)]
    report = write_pseudo(tmp_path / "P", NAMES, iter(made), agree=2)
    expected = [np.where(one >= 2, class_map(seed), 255) for seed, one in enumerate(votes)]
    assert np.array_equal(read_masks(tmp_path / "P", tmp_path), expected)
    assert (report.kept, report.dropped) == (2, 0)
    assert report.pixels == tuple(int((np.array(expected) == one).sum()) for one in range(3))
    assert report.ignored == int((votes < 2).sum())
    assert report.ignored_share == pytest.approx((votes < 2).mean())


def test_others_read_it_as_coco(items, tmp_path):
    votes = agreement()
    votes[:2] = 0
    write_pseudo(tmp_path / "P", NAMES, [items(votes=votes)], agree=1)
    other = COCO(str(tmp_path / "P" / "train.json"))
    assert [one["name"] for one in other.loadCats(other.getCatIds())] == ["Paper", "Glass", "ignore"]
    (entry,) = other.loadImgs(other.getImgIds())
    assert Image.open(tmp_path / "P" / entry["file_name"]).size == (entry["width"], entry["height"]) == (W, H)
    for one in other.loadAnns(other.getAnnIds()):
        name = other.loadCats(one["category_id"])[0]["name"]
        expected = votes < 1 if name == "ignore" else (class_map() == NAMES.index(name)) & (votes >= 1)
        assert np.array_equal(other.annToMask(one), expected)
        assert one["area"] == expected.sum()


def test_without_background_every_pixel_is_annotated(items, tmp_path):
    votes = agreement()
    votes[0] = 0
    names = ("Paper", "Glass", "Metal")
    write_pseudo(tmp_path / "P", names, [items(votes=votes)], agree=3, unlabelled="ignore")
    masks = read_masks(tmp_path / "P", tmp_path, names, "ignore")
    assert np.array_equal(masks[0], np.where(votes >= 3, class_map(), 255))
    entries = json.loads((tmp_path / "P" / "train.json").read_text())["annotations"]
    assert sum(one["area"] for one in entries) == H * W


def test_photos_with_too_little_left_are_dropped(items, tmp_path):
    doubtful, enough = agreement(1), agreement(1)
    doubtful[0, :19] = 3  # 19 of 200 pixels
    enough[0, :20] = 3
    report = write_pseudo(
        tmp_path / "P", NAMES, [items("a.png", votes=doubtful), items("b.png", votes=enough)], agree=3
    )
    assert (report.kept, report.dropped) == (1, 1)
    assert [path.name for path in (tmp_path / "P" / "images").iterdir()] == ["b.png"]


def test_photos_are_linked(items, tmp_path):
    write_pseudo(tmp_path / "P", NAMES, [items()], agree=1)
    assert (tmp_path / "P" / "images" / "a.png").samefile(tmp_path / "photos" / "a.png")


def test_photos_are_copied_where_links_are_refused(items, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("another file system")

    monkeypatch.setattr("os.link", refuse)
    write_pseudo(tmp_path / "P", NAMES, [items()], agree=1)
    copy, photo = tmp_path / "P" / "images" / "a.png", tmp_path / "photos" / "a.png"
    assert not copy.samefile(photo)
    assert copy.read_bytes() == photo.read_bytes()


def test_the_report_compares_the_balance_of_classes(items, tmp_path):
    pixels = np.zeros((H, W), np.uint8)
    pixels[:5] = 1
    report = write_pseudo(tmp_path / "P", NAMES, [items(pixels=pixels)], agree=1)
    lines = report.summary([50, 25, 25]).splitlines()
    assert lines[0] == "1 photos kept, 0 dropped, 0.0 % of pixels ignored"
    assert lines[1] == "Share of each class in the pixels of these labels, and of the labelled holdout to compare with:"
    assert [line.split() for line in lines[2:]] == [
        ["Background", "50.00", "%", "50.00", "%"],
        ["Paper", "50.00", "%", "25.00", "%"],
        ["Glass", "0.00", "%", "25.00", "%"],
    ]


def test_a_run_that_breaks_off_leaves_nothing(items, tmp_path):
    def broken():
        yield items()
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_pseudo(tmp_path / "P", NAMES, broken(), agree=1)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("names", "change", "message"),
    [
        (NAMES, {"name": "../a.png"}, r"'\.\./a\.png' leads out of the data set"),
        (NAMES, {"pixels": np.full((H, W), 3, np.uint8)}, "a.png: its class map has class 3, but there are 3"),
        (NAMES, {"votes": np.ones((W, H), np.uint8)}, r"its class map is \(10, 20\), its agreement \(20, 10\)"),
        (NAMES, {"votes": np.zeros((H, W), np.uint8)}, r"no photo has a pseudo-label of any class \(1 were dropped"),
        (NAMES, {"pixels": np.zeros((H, W), np.uint8)}, "no photo has a pseudo-label of any class"),
        (("Background", "ignore"), {"pixels": np.ones((H, W), np.uint8)}, "a class is named 'ignore'"),
    ],
)
def test_what_cannot_be_written_is_refused(items, tmp_path, names, change, message):
    with pytest.raises(UserError, match=message):
        write_pseudo(tmp_path / "P", names, [items(**change)], agree=1)
    assert not (tmp_path / "P").exists()


def test_nothing_is_overwritten_and_no_photo_comes_twice(items, tmp_path):
    with pytest.raises(UserError, match=r"'a\.png' comes twice"):
        write_pseudo(tmp_path / "P", NAMES, [items(), items()], agree=1)
    write_pseudo(tmp_path / "P", NAMES, [items()], agree=1)
    with pytest.raises(UserError, match="P exists already: give another directory"):
        write_pseudo(tmp_path / "P", NAMES, [items()], agree=1)


def test_classes_are_matched_by_name(tmp_path):
    """Other ids, in another order, and no pixel to be ignored."""
    categories = [{"id": 4, "name": "Glass"}, {"id": 9, "name": "Paper"}]
    write(tmp_path / "P", train=coco([image(1, "a.png")], [annotation(1, 1, 4), annotation(2, 1, 9)], categories))
    assert load_pseudo(tmp_path / "P", NAMES, unlabelled="background").class_id_of == {4: 2, 9: 1}
    swapped = load_pseudo(tmp_path / "P", ("Background", "Glass", "Paper"), unlabelled="background")
    assert swapped.class_id_of == {4: 1, 9: 2}
    assert swapped.fingerprint != load_pseudo(tmp_path / "P", NAMES, unlabelled="background").fingerprint


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([*CATEGORIES, {"id": 3, "name": "Wood"}], "category 'Wood' is missing from the labelled data set"),
        (CATEGORIES[:1], r"category 'Glass' is missing from .*train\.json: pseudo-labels need the same"),
    ],
)
def test_other_categories_are_refused_by_name(tmp_path, categories, message):
    write(tmp_path / "P", train=coco([image(1, "a.png")], [annotation(1, 1, 1)], categories))
    with pytest.raises(UserError, match=message):
        load_pseudo(tmp_path / "P", NAMES, unlabelled="background")


def test_there_must_be_pseudo_labels(tmp_path):
    with pytest.raises(UserError, match=r"nothing holds no pseudo-labels: there is no train\.json"):
        load_pseudo(tmp_path / "nothing", NAMES, unlabelled="background")
