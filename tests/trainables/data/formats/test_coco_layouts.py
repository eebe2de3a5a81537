"""COCO in Roboflow's and COCO's own folders, against pycocotools' own reading of the files."""

import json
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from tests.trainables.data.made import annotation, box, coco, image
from trainables.errors import UserError

CATEGORIES = [
    {"id": 0, "name": "trash", "supercategory": "none"},
    {"id": 1, "name": "Paper", "supercategory": "trash"},
    {"id": 2, "name": "Glass", "supercategory": "trash"},
]
RING = {"size": [10, 20], "counts": [33, 4, 6, 1, 2, 1, 6, 4, 143]}


def content(name="a.png"):
    shapes = [annotation(1, 1, 1, box(2, 2, 6, 4) + box(12, 1, 4, 5)), annotation(2, 1, 2, RING)]
    return coco([image(1, name)], shapes, CATEGORIES)


def reading(file):
    """Category ids (H, W), each annotation painted as pycocotools reads it, larger ones first."""
    with redirect_stdout(StringIO()):
        read = COCO(str(file))
    pixels = np.full((10, 20), NOTHING)
    for one in sorted(read.anns.values(), key=lambda one: -int(read.annToMask(one).sum())):
        pixels[read.annToMask(one) == 1] = one["category_id"]
    return pixels


def test_roboflow_without_the_category_above_all(tmp_path):
    for split in ("train", "valid"):
        photo(tmp_path / "rf" / split / f"{split}.png", 20, 10)
        (tmp_path / "rf" / split / "_annotations.coco.json").write_text(json.dumps(content(f"{split}.png")))
    report, dataset = import_from("roboflow", tmp_path / "rf")
    assert names(dataset) == {1: "Paper", 2: "Glass"}
    assert dict(report.photos) == {"train": 1, "val": 1}
    expected = reading(tmp_path / "rf/train/_annotations.coco.json")
    assert all((ids == expected).all() for ids in category_maps(dataset).values())


def test_photos_that_belong_together_still_do(tmp_path):
    its = content()
    its["images"] = [{**image(1, "a.png"), "group": "drive 1"}, {**image(2, "b.png"), "group": 7}, image(3, "c.png")]
    for one in its["images"]:
        photo(tmp_path / "c" / one["file_name"], 20, 10)
    (tmp_path / "c/annotations").mkdir()
    (tmp_path / "c/annotations/train.json").write_text(json.dumps(its))
    _, dataset = import_from("coco", tmp_path / "c")
    assert [one.group for one in dataset.images] == ["drive 1", "7", ""]


def test_coco_finds_photos_in_folders_of_any_name(tmp_path):
    photo(tmp_path / "c/train2017/a.png", 20, 10)
    (tmp_path / "c/annotations").mkdir()
    (tmp_path / "c/annotations/instances_train2017.json").write_text(json.dumps(content()))
    _, dataset = import_from("coco", tmp_path / "c")
    assert (category_maps(dataset)["a.png"] == reading(tmp_path / "c/annotations/instances_train2017.json")).all()


def test_photos_tell_the_sizes_that_images_do_not_state(tmp_path):
    photo(tmp_path / "rf/train/a.png", 20, 10)
    its = {**content(), "images": [{"id": 1, "file_name": "a.png"}]}
    (tmp_path / "rf/train/_annotations.coco.json").write_text(json.dumps(its))
    _, dataset = import_from("roboflow", tmp_path / "rf")
    assert (dataset.images[0].width, dataset.images[0].height) == (20, 10)


def test_the_exif_orientation_of_photos_whose_size_is_not_stated_is_told(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "c/annotations").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (10, 20)).save(tmp_path / "c" / name, exif=exif)
    its = {**content(), "images": [{"id": 1, "file_name": "a.jpg"}, {**image(2, "b.jpg"), "width": 20, "height": 10}]}
    (tmp_path / "c/annotations/train.json").write_text(json.dumps(its))
    (note,) = import_from("coco", tmp_path / "c")[0].notes
    assert note.startswith("1 photos whose size is not stated have an EXIF orientation, which is followed, such as a.j")


@pytest.mark.parametrize("layout", ["annotations/instances_{}.json", "{}.json"])
def test_photos_that_are_missing_or_damaged_can_be_left_out(tmp_path, layout):
    names = ("a.jpg", "b.jpg", "gone.jpg", "cut.jpg", "empty.jpg")
    its = coco([image(key, name) for key, name in enumerate(names)], [annotation(key, key, 1) for key in range(5)])
    (tmp_path / "c" / layout).parent.mkdir(parents=True)
    (tmp_path / "c" / layout.format("train")).write_text(json.dumps(its))
    (tmp_path / "c" / layout.format("test")).write_text(json.dumps({"images": [image(1, "t.jpg"), image(2, "u.jpg")]}))
    for name in ("a.jpg", "b.jpg", "cut.jpg", "t.jpg"):
        photo(tmp_path / "c/images" / name, 20, 10)
    (tmp_path / "c/images/cut.jpg").write_bytes((tmp_path / "c/images/cut.jpg").read_bytes()[:-100])
    (tmp_path / "c/images/empty.jpg").write_bytes(b"")
    report, dataset = import_from("coco", tmp_path / "c", skip_photos=True)
    assert [one.path.name for one in dataset.images] == ["a.jpg", "b.jpg", "t.jpg"]
    assert (category_maps(dataset)["b.jpg"] == 1).sum() == 24
    assert {problem.what.partition(" (")[0] for problem in report.problems} == {
        "its photo gone.jpg cannot be read",
        "its photo cut.jpg is truncated or damaged",
        "its photo empty.jpg is empty",
        "its photo u.jpg cannot be read",
    }


def test_photos_are_not_left_out_where_a_name_fits_several_or_the_size_is_another(tmp_path):
    for place in ("one/a.png", "two/a.png", "b.png"):
        photo(tmp_path / "c" / place, 20, 12)
    for name, message in (("a.png", "may be any of one/a.png, two/a.png"), ("b.png", "is for 20x10 pixels, but")):
        (tmp_path / "c/train.json").write_text(json.dumps(coco([image(1, name)], [annotation(1, 1, 1)])))
        with pytest.raises(UserError, match=message):
            import_from("coco", tmp_path / "c", skip_photos=True)


def test_a_part_need_not_list_the_categories_that_it_has_not(tmp_path):
    for split, its in (("train", content()), ("valid", {**content(), "categories": CATEGORIES[:2]})):
        photo(tmp_path / "rf" / split / "a.png", 20, 10)
        (tmp_path / "rf" / split / "_annotations.coco.json").write_text(json.dumps(its))
    report, dataset = import_from("roboflow", tmp_path / "rf")
    assert names(dataset) == {1: "Paper", 2: "Glass"}
    assert [(p.file, p.what) for p in report.problems] == [
        ("valid/_annotations.coco.json", "annotation of the unknown category 2")
    ]


def test_boxes_and_unknown_ids_are_skipped_by_name(tmp_path):
    photo(tmp_path / "rf/train/a.png", 20, 10)
    its = content()
    its["annotations"] += [annotation(3, 1, 9), annotation(4, 8, 1), annotation(5, 1, 1, [])]
    (tmp_path / "rf/train/_annotations.coco.json").write_text(json.dumps(its))
    report, _ = import_from("roboflow", tmp_path / "rf")
    assert [(p.file, p.id) for p in report.problems] == [("train/_annotations.coco.json", key) for key in (3, 4, 5)]


def test_ids_that_are_counted_from_another_number_are_told(tmp_path):
    its = {**content(), "categories": CATEGORIES[1:]}
    its["annotations"] = [{**one, "category_id": one["category_id"] - 1} for one in its["annotations"]]
    its["annotations"].append(annotation(3, 1, 1))
    photo(tmp_path / "c/a.png", 20, 10)
    (tmp_path / "c/annotations").mkdir()
    (tmp_path / "c/annotations/train.json").write_text(json.dumps(its))
    (note,) = import_from("coco", tmp_path / "c")[0].notes
    assert note.startswith("annotations/train.json: not every category_id of its annotations is listed, but every one")


def test_signs_of_other_masks_than_were_seen_are_told_though_boxes_and_areas_are_written_anew(tmp_path):
    ring = annotation(1, 1, 1, box(2, 2, 8, 6) + box(4, 4, 2, 2), area=44, bbox=[2, 2, 8, 6])
    elsewhere = [annotation(number, 1, 2, box(number, 1, 3, 3), area=9, bbox=[15, 6, 3, 3]) for number in range(2, 6)]
    its = coco([image(1, "a.png")], [ring, *elsewhere])
    photo(tmp_path / "c/a.png", 20, 10)
    (tmp_path / "c/annotations").mkdir()
    (tmp_path / "c/annotations/train.json").write_text(json.dumps(its))
    notes = import_from("coco", tmp_path / "c")[0].notes
    assert ["bbox" in note for note in notes] == [True, False]
    assert "an annotation (id 1) has a polygon inside another one" in notes[1]


def test_shares_of_the_sides_are_taken_times_these_as_in_a_search(tmp_path):
    its = coco([image(1, "a.png")], [annotation(1, 1, 1, [[0.1, 0.2, 0.5, 0.2, 0.5, 0.8, 0.1, 0.8]])])
    photo(tmp_path / "c/a.png", 20, 10)
    (tmp_path / "c/annotations").mkdir()
    (tmp_path / "c/annotations/train.json").write_text(json.dumps(its))
    report, dataset = import_from("coco", tmp_path / "c")
    assert dataset.images[0].annotations[0].area == 8 * 6
    assert "shares of the sides" in report.notes[0]


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("coco", "annotations/instances_default.json"),
        ("coco", "annotations/instances_Train.json"),
        ("roboflow", "train/_annotations.coco-segmentation.json"),
    ],
)
def test_files_that_a_search_knows_are_imported(tmp_path, form, file):
    """CVAT names a file as the subset is, "default" without any, and Roboflow has several names for its exports."""
    photo(tmp_path / "src/train/a.png", 20, 10)
    (tmp_path / "src" / file).parent.mkdir(exist_ok=True)
    (tmp_path / "src" / file).write_text(json.dumps(content()))
    _, dataset = import_from(form, tmp_path / "src")
    assert [(one.split, len(one.annotations)) for one in dataset.images] == [("train", 2)]


def test_two_files_for_one_split_are_an_error(tmp_path):
    (tmp_path / "c/annotations").mkdir(parents=True)
    for kind in ("instances", "person_keypoints"):
        (tmp_path / f"c/annotations/{kind}_train.json").write_text(json.dumps(content()))
    with pytest.raises(UserError, match="are both for train: keep the one that has the masks"):
        import_from("coco", tmp_path / "c")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "train.json",
            r"as annotations/instances_train\.json does: there is none; a directory that has a train\.json needs no",
        ),
        ("annotations/all.json", r"must have names with train, val or test, as .*: .*all\.json does not$"),
    ],
)
def test_files_that_are_of_no_split_are_told_how_to_be_named(tmp_path, file, said):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(json.dumps(content()))
    with pytest.raises(UserError, match=said):
        import_from("coco", tmp_path)


def test_several_files_of_no_split_are_told_how_to_be_named(tmp_path):
    (tmp_path / "annotations").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"annotations/{name}.json").write_text(json.dumps(content()))
    with pytest.raises(UserError, match=r"must have names with train, val or test, as .* does not"):
        import_from("coco", tmp_path)
