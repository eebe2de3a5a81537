"""Which mask belongs to which photo, and to which split."""

import pytest

from tests.trainables.data.formats.mask_files import blocks, folder, save
from tests.trainables.data.formats.reading import import_from, names, photo
from trainables.data.formats.detection import format_of
from trainables.errors import UserError


def test_a_mask_without_photo_and_a_folder_without_classes_are_errors(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    save(source / "masks/lost.png", blocks(0))
    with pytest.raises(UserError, match=r"masks/lost\.png: there is no photo of its name below /.*/images;"):
        import_from("masks", source)
    (source / "classes.txt").unlink()
    with pytest.raises(UserError, match="has no list of classes"):
        import_from("masks", source)


def test_a_mask_that_is_a_link_to_nowhere_is_told(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    (source / "masks/a.png").unlink()
    (source / "masks/a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"masks/a\.png is no readable mask .*No such file"):
        import_from("masks", source)


def test_masks_may_have_an_ending_of_their_own(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1), ab=blocks(0, 2))
    for mask in sorted((source / "masks").iterdir()):
        mask.rename(mask.with_stem(f"{mask.stem}_mask"))
    _, dataset = import_from("masks", source)
    assert {one.path.name: one.annotations[0].category_id for one in dataset.images} == {"a.jpg": 1, "ab.jpg": 2}
    (source / "masks/ab_mask.png").rename(source / "masks/c_mask.png")
    with pytest.raises(UserError, match=r"c_mask.png: there is no photo of its name .*give both the same name"):
        import_from("masks", source.rename(tmp_path / "other"))


def test_the_mask_of_another_number_is_no_mask_of_a_photo(tmp_path):
    source = folder(tmp_path / "src", **{"1": blocks(0, 1)})
    (source / "masks/1.png").rename(source / "masks/10.png")
    with pytest.raises(UserError, match=r"10\.png: there is no photo of its name"):
        import_from("masks", source)


@pytest.mark.parametrize(
    ("photos", "masks"), [("image_{}", "mask_{}"), ("{}_sat", "{}_mask"), ("drive/7_{}", "drive/seg_7_{}_b")]
)
def test_masks_may_have_the_numbers_of_the_photos(tmp_path, photos, masks):
    for number in (1, 2, 12):
        photo(tmp_path / "src/images" / f"{photos.format(number)}.jpg", 24, 16)
        save(tmp_path / "src/masks" / f"{masks.format(number)}.png", blocks(number))
    (tmp_path / "src/classes.txt").write_text("1 one\n2 two\n12 twelve\n")
    report, dataset = import_from("masks", tmp_path / "src")
    found = {one.path.stem: one.annotations[0].category_id for one in dataset.images}
    assert found == {photos.split("/")[-1].format(number): number for number in (1, 2, 12)}
    assert "masks are taken as those of the photos with their numbers" in report.notes[0]


def test_numbers_alone_make_no_pair_where_what_is_around_them_varies(tmp_path):
    source = folder(tmp_path / "src", cat_1=blocks(0, 1), dog_2=blocks(0, 2))
    (source / "masks/cat_1.png").rename(source / "masks/m_1.png")
    (source / "masks/dog_2.png").rename(source / "masks/m_2.png")
    with pytest.raises(UserError, match=r"m_1\.png: there is no photo of its name"):
        import_from("masks", source)


def test_masks_may_lie_beside_photos_as_in_exports_of_roboflow(tmp_path):
    for split, value in (("train", 1), ("valid", 2)):
        photo(tmp_path / "rf" / split / "a_jpg.rf.0f.jpg", 24, 16)
        save(tmp_path / "rf" / split / "a_jpg.rf.0f_mask.png", blocks(0, value))
        photo(tmp_path / "rf" / split / "b.jpg", 24, 16)
        (tmp_path / "rf" / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, Paper\n2, Glass\n")
    assert format_of(tmp_path / "rf") == "masks"
    report, dataset = import_from("masks", tmp_path / "rf")
    assert names(dataset) == {1: "Paper", 2: "Glass"}
    assert [(one.split, one.annotations[0].category_id) for one in dataset.images] == [("train", 1), ("val", 2)]
    assert report.notes == ("2 photos have no mask of their name and are left out, such as train/b.jpg, valid/b.jpg",)
    (tmp_path / "rf/valid/_classes.csv").write_text("Pixel Value, Class\n0, background\n2, Paper\n1, Glass\n")
    with pytest.raises(UserError, match=r"train/_classes\.csv and .*valid/_classes\.csv differ"):
        import_from("masks", (tmp_path / "rf").rename(tmp_path / "other"))


def test_photos_of_a_left_and_a_right_eye_are_no_masks(tmp_path):
    for name in ("a_L.png", "a_R.png"):
        photo(tmp_path / "eyes" / name)
    (tmp_path / "eyes/classes.txt").write_text("background\nPaper\n")
    with pytest.raises(UserError, match="no masks beside photos"):
        import_from("masks", tmp_path / "eyes")


def test_a_picture_above_the_splits_is_no_mask(tmp_path):
    for name in ("a.png", "train/b.png"):
        photo(tmp_path / "rf" / name)
        save(tmp_path / "rf" / name.replace(".png", "_mask.png"), blocks(0, 1))
    (tmp_path / "rf/train/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, Paper\n")
    assert [one.path.name for one in import_from("masks", tmp_path / "rf")[1].images] == ["b.png"]


def test_hidden_files_are_no_photos_or_masks(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    for kind, name, suffix in (("images", "a.jpg", "jpg"), ("masks", "a.png", "png")):
        content = (source / kind / name).read_bytes()
        (source / kind / f"._{name}").write_bytes(b"\0\5\x16\7")
        (source / kind / ".ipynb_checkpoints").mkdir()
        (source / kind / f".ipynb_checkpoints/a-checkpoint.{suffix}").write_bytes(content)
    report, dataset = import_from("masks", source)
    assert [image.file_name for image in dataset.images] == ["images/train/a.jpg"]
    assert not report.notes


def test_folders_that_are_links_are_followed(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    for kind in ("images", "masks"):
        (source / kind).rename(tmp_path / f"far_{kind}")
        (source / kind).mkdir()
        (source / kind / "day").symlink_to(tmp_path / f"far_{kind}")
    _, dataset = import_from("masks", source)
    assert [image.file_name for image in dataset.images] == ["images/train/day/a.jpg"]


def test_suffixes_in_capitals(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    (source / "masks/a.png").rename(source / "masks/a.PNG")
    (source / "images/a.jpg").rename(source / "images/a.JPG")
    _, dataset = import_from("masks", source)
    assert [len(image.annotations) for image in dataset.images] == [1]


def test_photos_without_mask_are_told(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    photo(source / "images/b.jpg")
    report, _ = import_from("masks", source)
    assert report.notes == ("1 photos have no mask of their name and are left out, such as images/b.jpg",)


@pytest.mark.parametrize("names", [("training", "validation"), ("Train", "Val")])
@pytest.mark.parametrize(
    "layout", ["{split}/images {split}/masks", "{split}/Images {split}/Masks", "img/{split} mask/{split}"]
)
def test_splits_are_folders_inside_or_outside(tmp_path, layout, names):
    images, masks = layout.split()
    for split in names:
        photo(tmp_path / "src" / images.format(split=split) / "a.png")
        save(tmp_path / "src" / masks.format(split=split) / "a.png", blocks(0, 1))
    (tmp_path / "src/classes.txt").write_text("Background\nPaper\n")
    assert format_of(tmp_path / "src") == "masks"
    _, dataset = import_from("masks", tmp_path / "src")
    assert [image.file_name.split("/")[:2] for image in dataset.images] == [["images", "train"], ["images", "val"]]


def test_a_name_in_vocs_lists_is_not_cut_at_another_dot_than_that_of_the_ending(tmp_path):
    photo(tmp_path / "voc/JPEGImages/x.jpg")
    save(tmp_path / "voc/SegmentationClass/x.png", blocks(0, 15))
    (tmp_path / "voc/ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "voc/ImageSets/Segmentation/train.txt").write_text("x.2\n")
    with pytest.raises(UserError, match=r"ImageSets/Segmentation names x\.2, which has no mask"):
        import_from("voc", tmp_path / "voc")
