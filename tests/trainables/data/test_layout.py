"""Where the files of a data set are: layouts that are known, files named by hand, photos of almost that name."""

import json
import unicodedata

import pytest

from tests.trainables.data.made import CATEGORIES, annotation, coco, image, small, write, write_photo
from trainables.data import load_dataset
from trainables.data.layout import find_layout, is_dataset
from trainables.errors import UserError


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def one_photo(name, **more):
    return coco([image(1, name)], [annotation(1, 1, 1)], **more)


def test_roboflows_layout_is_recognised(tmp_path):
    groups = [{"id": 0, "name": "trash", "supercategory": "none"}]
    groups += [{**one, "supercategory": "trash"} for one in CATEGORIES]
    for folder, seed in (("train", 1), ("valid", 2), ("test", 3)):
        put(tmp_path / folder / "_annotations.coco.json", one_photo("a.jpg", categories=groups))
        write_photo(tmp_path / folder / "a.jpg", 20, 10, seed)
    dataset = load_dataset(tmp_path)
    assert [one.path for one in dataset.images] == [tmp_path / name / "a.jpg" for name in ("train", "valid", "test")]
    assert [one.split for one in dataset.images] == ["train", "val", "test"]
    assert dataset.class_names == ("Background", "Paper", "Glass")
    assert ["'trash' groups the others" in problem.what for problem in dataset.problems] == [True]
    assert "train: train/_annotations.coco.json, val: valid/_annotations.coco.json" in dataset.summary
    assert is_dataset(tmp_path)


def test_a_group_of_roboflows_may_have_the_name_of_a_class(tmp_path):
    categories = [
        {"id": 0, "name": "Paper", "supercategory": "none"},
        {"id": 1, "name": "Paper", "supercategory": "Paper"},
        {"id": 2, "name": "Glass", "supercategory": "Paper"},
    ]
    put(tmp_path / "train/_annotations.coco.json", one_photo("a.jpg", categories=categories))
    write_photo(tmp_path / "train/a.jpg", 20, 10)
    dataset = load_dataset(tmp_path)
    assert [(one.id, one.name) for one in dataset.categories] == [(1, "Paper"), (2, "Glass")]
    assert len(dataset.images[0].annotations) == 1


@pytest.mark.parametrize("photos", ["{}2017", "images/{}2017", "images", "images/{}", "{}"])
def test_cocos_layout_is_recognised(tmp_path, photos):
    for split in ("train", "val"):
        put(tmp_path / "annotations" / f"instances_{split}2017.json", one_photo(f"{split}.jpg"))
        write_photo(tmp_path / photos.format(split) / f"{split}.jpg", 20, 10, len(split))
    dataset = load_dataset(tmp_path)
    assert [one.path for one in dataset.images] == [
        tmp_path / photos.format(split) / f"{split}.jpg" for split in ("train", "val")
    ]


def test_the_one_file_of_cvat_is_for_training(tmp_path):
    put(tmp_path / "annotations/instances_default.json", one_photo("a.jpg"))
    write_photo(tmp_path / "images/default/a.jpg", 20, 10)
    dataset = load_dataset(tmp_path)
    assert dataset.files == {"train": "annotations/instances_default.json"}
    assert dataset.images[0].path == tmp_path / "images/default/a.jpg"


def test_several_files_of_one_split_are_asked_about(tmp_path):
    for year in ("2014", "2017"):
        put(tmp_path / "annotations" / f"instances_train{year}.json", one_photo("a.jpg"))
    write_photo(tmp_path / "a.jpg", 20, 10)
    with pytest.raises(UserError, match=r"2 files of the train split \(.*2014\.json, .*2017\.json\): .*--train-json"):
        load_dataset(tmp_path)
    named = load_dataset(tmp_path, train_json="annotations/instances_train2014.json")
    assert named.files == {"train": "annotations/instances_train2014.json"}


def test_files_of_any_name_can_be_given(tmp_path):
    write(tmp_path, train=small())
    (tmp_path / "train.json").rename(tmp_path / "fold 3.json")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-holdout.json"
    put(elsewhere, one_photo("v.png"))
    write_photo(tmp_path / "v.png", 20, 10, 7)
    dataset = load_dataset(tmp_path, train_json="fold 3.json", val_json=elsewhere)
    assert [one.file_name for one in dataset.images] == ["a.png", "b.png", "v.png"]
    assert dataset.files == {"train": "fold 3.json", "val": str(elsewhere)}
    assert dataset.fingerprint == load_dataset(_plain(tmp_path, elsewhere)).fingerprint


def _plain(root, val):
    (root / "fold 3.json").rename(root / "train.json")
    val.rename(root / "val.json")
    return root


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train_json": "gone.json"}, r"--train-json gone\.json: there is no such file"),
        ({"val_json": "gone.json"}, r"--val-json gone\.json: there is no such file"),
    ],
)
def test_a_named_file_that_is_not_there_is_told(tmp_path, given, said):
    with pytest.raises(UserError, match=said):
        load_dataset(write(tmp_path, train=small()), **given)


def test_a_file_in_place_of_the_directory_is_told(tmp_path):
    write(tmp_path, train=small())
    with pytest.raises(UserError, match=r"train\.json is a file: give --data its directory, .*--train-json"):
        load_dataset(tmp_path / "train.json")


def test_an_annotation_file_without_a_known_name_is_listed(tmp_path):
    write(tmp_path, train=small())
    (tmp_path / "train.json").rename(tmp_path / "labels_my.json")
    assert not is_dataset(tmp_path)
    with pytest.raises(UserError, match=r"train\.json is missing \(found: labels_my\.json\); .*by --train-json"):
        load_dataset(tmp_path)


NFC, NFD = (unicodedata.normalize(form, "사진 é.png") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("on_disk", "listed"),
    [(NFD, NFC), (NFC, NFD), (f"images/{NFD}", NFC), ("images/x/a.png", "x\\a.png"), ("x/a.png", ".\\x\\a.png")],
)
def test_a_name_that_means_the_same_is_found(tmp_path, on_disk, listed):
    train = small()
    train["images"][0]["file_name"] = listed
    write(tmp_path, photos=False, train=train)
    write_photo(tmp_path / on_disk, 20, 10)
    write_photo(tmp_path / "b.png", 20, 10, 1)
    assert load_dataset(tmp_path).images[0].path == tmp_path / on_disk


@pytest.mark.parametrize(
    ("on_disk", "listed"),
    [
        ("my photo.png", "my%20photo.png"),
        ("A.PNG", "a.png"),
        ("a.png", "https://photos.example/2/a.png?size=3"),
        ("a.png", "a.jpg"),
        ("a.png", "A.heic"),
    ],
)
def test_a_name_that_is_almost_the_same_is_told(tmp_path, on_disk, listed):
    train = small()
    train["images"][0]["file_name"] = listed
    write(tmp_path, photos=False, train=train)
    write_photo(tmp_path / on_disk, 20, 10)
    write_photo(tmp_path / "b.png", 20, 10, 1)
    with pytest.raises(UserError, match=rf"is not there, but '{on_disk}' is; correct file_name in train\.json"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "project-1/upload/a.png", "C:\\Users\\me\\a.png", "batch 2/A.png "])
def test_a_photo_in_another_folder_is_named(tmp_path, name):
    write_photo(tmp_path / "batch 1/a.png", 20, 10)
    put(tmp_path / "train.json", one_photo(name))
    with pytest.raises(UserError, match=r"is not there, but 'batch 1/a\.png' is; correct file_name"):
        load_dataset(tmp_path)


def test_a_file_of_another_folder_and_ending_is_not_taken_for_the_photo(tmp_path):
    write_photo(tmp_path / "masks/a.png", 20, 10)
    put(tmp_path / "train.json", one_photo("a.jpg"))
    with pytest.raises(UserError, match=r"a\.jpg cannot be read \(No such file or directory\)"):
        load_dataset(tmp_path)


def test_signs_of_urls_in_paths_mean_nothing(tmp_path):
    root = write(tmp_path / "which? 50%2F #1 [a]*", train=small())
    assert [one.path.parent for one in load_dataset(root, cache_dir=root / "c#?").images] == [root, root]


def test_find_layout_takes_known_names_first(tmp_path):
    put(tmp_path / "train.json", small())
    put(tmp_path / "annotations/instances_val2017.json", small())
    assert list(find_layout(tmp_path).files) == ["train"]


STRANGE = {
    "a link that leads nowhere": (
        lambda path: path.symlink_to("gone.png"),
        "is a link that leads nowhere, to gone.png",
    ),
    "a link to itself": (lambda path: path.symlink_to(path.name), "cannot be read .*symbolic links"),
    "a directory": (lambda path: path.mkdir(), "is no regular file"),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
    "a pointer of Git LFS": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"),
        "is a pointer of Git LFS instead of the photo; fetch the photos by git lfs pull",
    ),
}


@pytest.mark.parametrize(("make", "said"), STRANGE.values(), ids=STRANGE)
def test_what_stands_in_a_photos_place_is_said(tmp_path, make, said):
    write(tmp_path, train=small())
    (tmp_path / "a.png").unlink()
    make(tmp_path / "a.png")
    with pytest.raises(UserError, match=f"id 1: a.png {said}"):
        load_dataset(tmp_path)


def test_a_name_that_no_file_can_have_is_a_fault(tmp_path):
    train = small()
    write(tmp_path, train=train)
    train["images"][0]["file_name"] = "x" * 5000
    write(tmp_path, photos=False, train=train)
    with pytest.raises(UserError, match=r"id 1: xxx.* cannot be read .*too long"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/zero")])
def test_a_training_file_that_is_no_file_is_not_called_missing(tmp_path, make):
    make(tmp_path / "train.json")
    with pytest.raises(UserError, match=r"train\.json is no file: it may be a directory"):
        load_dataset(tmp_path)
