"""Masks against Pillow's own reading of them."""

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.formats.mask_files import blocks, coloured, folder, read, save
from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from trainables.data.formats.class_lists import voc_colour
from trainables.data.formats.detection import format_of
from trainables.errors import UserError


def test_values_are_classes(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1, 2), b=blocks(2, 2, 1, 0))
    _, dataset = import_from("masks", source)
    assert names(dataset) == {1: "Paper", 2: "Glass"}
    for name, ids in category_maps(dataset).items():
        expected = read(source / "masks" / name.replace(".jpg", ".png"))
        assert (ids == np.where(expected == 0, NOTHING, expected)).all()


def test_values_that_a_tool_wrote_into_three_channels_are_classes(tmp_path):
    values = blocks(0, 1, 2)
    _, dataset = import_from("masks", folder(tmp_path / "src", a=np.stack([values] * 3, axis=-1).astype(np.uint8)))
    assert (category_maps(dataset)["a.jpg"] == np.where(values == 0, NOTHING, values.astype(int))).all()


def test_a_mask_of_nothing_but_background_is_a_photo_without_annotation(tmp_path):
    _, dataset = import_from("masks", folder(tmp_path / "src", a=blocks(0), b=blocks(1)))
    assert {image.path.name: len(image.annotations) for image in dataset.images} == {"a.jpg": 0, "b.jpg": 1}


def test_sixteen_bits_and_values_above_255(tmp_path):
    pixels = blocks(0, 300, 40000, dtype=np.uint16)
    source = folder(tmp_path / "src", "0 background\n300 Paper\n40000 Glass\n", a=pixels)
    assert read(source / "masks/a.png").max() == 40000
    _, dataset = import_from("masks", source)
    assert names(dataset) == {300: "Paper", 40000: "Glass"}
    assert (category_maps(dataset)["a.jpg"] == np.where(pixels == 0, NOTHING, pixels)).all()


@pytest.mark.parametrize("mode", ["1", "P", "LA", "L"])
def test_odd_modes_hold_the_same_values(tmp_path, mode):
    source = folder(tmp_path / "src", "Background\nPaper\n", a=blocks(0, 1))
    pixels = blocks(0, 1)
    if mode == "1":
        Image.fromarray(pixels.astype(bool)).save(source / "masks/a.png")
    elif mode == "P":
        save(source / "masks/a.png", pixels, palette=[9, 9, 9, 200, 0, 0])
    else:
        save(source / "masks/a.png", pixels, mode)
    _, dataset = import_from("masks", source)
    assert (category_maps(dataset)["a.jpg"] == np.where(pixels == 1, 1, NOTHING)).all()


def test_colours_are_classes_where_the_list_gives_them(tmp_path):
    source = folder(tmp_path / "src", "0 0 0 Background\n128,0,0,Paper\n0\t128\t0\tGlass jar\n", a=blocks(0))
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:, 8:16], pixels[:, 16:] = (128, 0, 0), (0, 128, 0)
    save(source / "masks/a.png", pixels)
    _, dataset = import_from("masks", source)
    assert names(dataset) == {1: "Paper", 2: "Glass jar"}
    assert (category_maps(dataset)["a.jpg"][0] == [NOTHING] * 8 + [1] * 8 + [2] * 8).all()


@pytest.mark.parametrize(
    ("pixels", "classes", "message"),
    [
        (
            blocks(0, 7),
            "Background\nPaper\n",
            r"masks/a.png: has the values 7, .*; list them \(a list of names alone begins with the value 0\), or",
        ),
        (np.full((16, 24, 3), 9, np.uint8), "0 0 0 Background\n1 1 1 Paper\n", r"colours \(9, 9, 9\)"),
        (
            np.full((16, 24, 3), (9, 9, 8), np.uint8),
            "Background\nPaper\n",
            "mask in colour, but the list of classes gives no",
        ),
    ],
)
def test_values_of_no_class_are_an_error_that_leaves_nothing_behind(tmp_path, pixels, classes, message):
    with pytest.raises(UserError, match=message):
        import_from("masks", folder(tmp_path / "src", classes, a=pixels))
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_a_mask_whose_head_states_a_size_beyond_reason_is_told(tmp_path):
    source = folder(tmp_path / "src", a=blocks(1))
    Image.new("L", (1, 1)).save(source / "masks/a.bmp")
    damaged = bytearray((source / "masks/a.bmp").read_bytes())
    damaged[18:26] = b"\xff\xff\xff\x7f" * 2
    (source / "masks/a.png").unlink()
    (source / "masks/a.bmp").write_bytes(bytes(damaged))
    with pytest.raises(UserError, match=r"masks/a\.bmp is no readable mask \(has 2147483647x2147483647 pixels"):
        import_from("masks", source)


def test_a_mask_that_was_not_fetched_is_told(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    (source / "masks/a.png").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match=r"masks/a\.png is a pointer of Git LFS instead of the file"):
        import_from("masks", source)


def test_cvats_masks_have_their_own_classes(tmp_path):
    source = tmp_path / "src"
    expected = coloured(source)
    photo(source / "JPEGImages/a.jpg")
    (source / "masks").rename(source / "SegmentationClass")
    (source / "labelmap.txt").write_text("background:0,0,0::\nroad:128,64,0::\nice rink:0,128,0::\n")
    _, dataset = import_from("voc", source)
    assert names(dataset) == {0: "background", 1: "road", 2: "ice rink"}
    assert (category_maps(dataset)["a.jpg"] == np.where(expected == NOTHING, 0, expected)).all()


def test_a_palette_means_its_colours_where_the_list_has_them(tmp_path):
    source = folder(tmp_path / "src", "0 0 0 Background\n128 64 0 road\n0 128 0 ice\n", a=blocks(0))
    save(source / "masks/a.png", blocks(0, 1, 2), palette=[0, 128, 0, 0, 0, 0, 128, 64, 0])
    _, dataset = import_from("masks", source)
    assert (category_maps(dataset)["a.jpg"] == blocks(2, NOTHING, 1, dtype=int)).all()


@pytest.mark.parametrize("first", [(0, 0, 0), (7, 7, 7)])
def test_a_palette_that_does_not_contradict_the_list_means_its_indices(tmp_path, first):
    source = folder(tmp_path / "src", "0 0 0 Background\n128 64 0 road\n0 128 0 ice\n", a=blocks(0))
    save(source / "masks/a.png", blocks(0, 1, 2), palette=[*first, 9, 9, 9, 0, 128, 0])
    _, dataset = import_from("masks", source)
    assert (category_maps(dataset)["a.jpg"] == blocks(NOTHING, 1, 2, dtype=int)).all()


def test_a_palette_with_colours_of_other_values_and_of_no_class_is_refused(tmp_path):
    source = folder(tmp_path / "src", "128 64 0 road\n0 128 0 ice\n", a=blocks(0))
    save(source / "masks/a.png", blocks(0, 1), palette=[0, 0, 0, 128, 64, 0])
    with pytest.raises(UserError, match=r"a\.png: has the colours \(0, 0, 0\), which are in no line of the list"):
        import_from("masks", source)


@pytest.mark.parametrize("folder", ["SegmentationClass", "SegmentationClassPNG"])
def test_the_layout_of_voc_with_a_list_of_classes_has_those(tmp_path, folder):
    photo(tmp_path / "voc/JPEGImages/a.jpg", 24, 16)
    (tmp_path / "voc/SegmentationClass").mkdir()
    save(tmp_path / "voc" / folder / "a.png", blocks(0, 1), palette=[0, 0, 0, 128, 0, 0])
    (tmp_path / "voc/class_names.txt").write_text("_background_\nPaper\n")
    _, dataset = import_from("voc", tmp_path / "voc", void="background")
    assert names(dataset) == {1: "Paper"}
    assert (category_maps(dataset)["a.jpg"] == blocks(NOTHING, 1, dtype=int)).all()


@pytest.mark.parametrize("suffix", ["tif", "TIFF", "bmp", "gif"])
def test_masks_may_be_files_of_other_formats_that_keep_values(tmp_path, suffix):
    source = folder(tmp_path / "src", a=blocks(0, 1, 2))
    (source / "masks/a.png").unlink()
    save(source / f"masks/a.{suffix}", blocks(0, 1, 2))
    assert format_of(source) == "masks"
    _, dataset = import_from("masks", source)
    assert (category_maps(dataset)["a.jpg"] == blocks(NOTHING, 1, 2, dtype=int)).all()


def test_a_gif_whose_writer_numbers_the_colours_anew_has_the_values_that_are_seen(tmp_path):
    source = folder(tmp_path / "src", "5 Paper\n9 Glass\n", a=blocks(5, 9))
    (source / "masks/a.png").unlink()
    Image.fromarray(blocks(5, 9)).save(source / "masks/a.gif", optimize=True)
    with Image.open(source / "masks/a.gif") as image:
        assert sorted(set(np.asarray(image).ravel())) == [0, 1]
    assert (category_maps(import_from("masks", source)[1])["a.jpg"] == blocks(5, 9)).all()


@pytest.mark.parametrize(
    ("suffix", "pixels", "mode", "message"),
    [
        ("jpg", blocks(0, 1), None, r"holds no mask \*.png or .*JPEG changes the values of pixels"),
        ("tif", blocks(0, 0.5, dtype=np.float32), None, "is a mask of fractions"),
        ("tif", blocks(0, 1), "CMYK", "is a mask of 4 channels"),
    ],
)
def test_masks_that_hold_no_values_are_told(tmp_path, suffix, pixels, mode, message):
    source = folder(tmp_path / "src", a=blocks(0, 1))
    (source / "masks/a.png").unlink()
    save(source / f"masks/a.{suffix}", pixels, mode)
    with pytest.raises(UserError, match=message):
        import_from("masks", source)


def test_a_mask_of_another_size_than_its_photo_is_named(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1), b=blocks(0, 1))
    save(source / "masks/a.png", blocks(0, 1, height=8, width=12))
    (source / "images/b.jpg").write_bytes(b"no photo")
    with pytest.raises(UserError) as raised:
        import_from("masks", source)
    first, one, other = str(raised.value).splitlines()
    assert first.endswith("src-imported is not written, since labels do not fit their photos:")
    assert one.startswith(
        "  masks/a.png: is for 12x8 pixels, but its photo a.jpg has 24x16; export it again, or restore"
    )
    assert other.startswith("  masks/b.png: its photo b.jpg is no image of a known kind")
    assert not (tmp_path / "src-imported").exists()


@pytest.mark.parametrize("classes", ["background\nroad\n", "road\n"])
def test_white_is_not_lost_where_it_is_the_only_class(tmp_path, classes):
    source = folder(tmp_path / "src", classes, a=blocks(0, 255), b=blocks(0))
    with pytest.raises(UserError, match=r"values 0 and 255 alone, and 255 is no class .*'255 road'"):
        import_from("masks", source)
    (source / "classes.txt").write_text("0 background\n255 road\n")
    _, dataset = import_from("masks", source)
    assert (category_maps(dataset)["a.jpg"] == blocks(NOTHING, 255, dtype=int)).all()


def test_black_may_be_the_only_class_where_it_is_said_what_white_is(tmp_path):
    _, dataset = import_from("masks", folder(tmp_path / "src", "0 road\n", a=blocks(0, 255)), void="background")
    assert (category_maps(dataset)["a.jpg"] == blocks(0, NOTHING, dtype=int)).all()


def test_void_becomes_background_or_stays_out(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1, 255))
    report, dataset = import_from("masks", source)
    assert report.notes[0].startswith("128 pixels of no class became background")
    (tmp_path / "src-imported").rename(tmp_path / "first")
    report, dataset = import_from("masks", source, void="ignore")
    assert not report.notes
    assert dataset.class_names == ("Background", "Paper", "Glass")
    assert (category_maps(dataset)["a.jpg"][0] == [0] * 8 + [1] * 8 + [NOTHING] * 8).all()


def test_voc_follows_its_lists_and_palette(tmp_path):
    root = tmp_path / "VOC2012"
    palette = [value for number in range(256) for value in voc_colour(number)]
    pixels = {"x": blocks(0, 15, 255), "y": blocks(12, 0), "z": blocks(1)}
    for name, its in pixels.items():
        photo(root / "JPEGImages" / f"{name}.jpg")
        save(root / "SegmentationClass" / f"{name}.png", its, palette=palette)
    photo(root / "JPEGImages/of_detection.jpg")
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("x\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("y.jpg\n")
    report, dataset = import_from("voc", root)
    assert dict(report.photos) == {"train": 1, "val": 1}
    maps = category_maps(dataset)
    assert (maps["x.jpg"] == np.where(pixels["x"] == 255, NOTHING, pixels["x"].astype(int))).all()
    assert (maps["y.jpg"] == pixels["y"]).all()
    assert names(dataset)[15] == "person"


def test_voc_in_its_colours_reads_as_its_palette_does(tmp_path):
    root = tmp_path / "VOC2012"
    photo(root / "JPEGImages/x.jpg")
    coloured = np.array([voc_colour(value) for value in range(256)], np.uint8)[blocks(0, 20, 255)]
    save(root / "SegmentationClass/x.png", coloured)
    _, dataset = import_from("voc", root)
    assert (category_maps(dataset)["x.jpg"][0] == [0] * 8 + [20] * 8 + [NOTHING] * 8).all()


def test_cityscapes_keeps_the_evaluated_classes(tmp_path):
    for split, city in (("train", "aachen"), ("val", "ulm")):
        photo(tmp_path / "cs/leftImg8bit" / split / city / f"{city}_0_0_leftImg8bit.png")
        save(tmp_path / "cs/gtFine" / split / city / f"{city}_0_0_gtFine_labelIds.png", blocks(3, 7, 26, 255))
        save(tmp_path / "cs/gtFine" / split / city / f"{city}_0_0_gtFine_color.png", blocks(99))
    _, dataset = import_from("cityscapes", tmp_path / "cs")
    assert dataset.num_classes == 19
    for ids in category_maps(dataset).values():
        assert (ids[0] == [NOTHING] * 6 + [7] * 6 + [26] * 6 + [NOTHING] * 6).all()


def test_cityscapes_train_ids_are_read_where_there_are_no_others(tmp_path):
    photo(tmp_path / "cs/leftImg8bit/train/ulm/ulm_0_0_leftImg8bit.png")
    save(tmp_path / "cs/gtFine/train/ulm/ulm_0_0_gtFine_labelTrainIds.png", blocks(0, 13, 255))
    _, dataset = import_from("cityscapes", tmp_path / "cs")
    assert dataset.num_classes == 19
    assert [names(dataset)[value] for value in (0, 13, 18)] == ["road", "car", "bicycle"]
    assert (category_maps(dataset)["ulm_0_0_leftImg8bit.png"][0] == [0] * 8 + [13] * 8 + [NOTHING] * 8).all()


def test_exports_of_cvat_in_the_layout_of_cityscapes_have_classes_of_their_own(tmp_path):
    photo(tmp_path / "cs/imgsFine/leftImg8bit/default/a_leftImg8bit.png")
    save(tmp_path / "cs/gtFine/default/a_gtFine_labelIds.png", blocks(0, 1))
    (tmp_path / "cs/label_colors.txt").write_text("0 0 0 background\n250 50 83 Paper\n")
    assert format_of(tmp_path / "cs") == "cityscapes"
    _, dataset = import_from("cityscapes", tmp_path / "cs", void="background")
    assert names(dataset) == {1: "Paper"}
    assert (category_maps(dataset)["a_leftImg8bit.png"][0] == [NOTHING] * 12 + [1] * 12).all()
