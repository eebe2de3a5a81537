"""Masks against Pillow's own reading of them."""

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from trainables.data.formats.class_lists import read_class_list, voc_colour
from trainables.data.formats.detection import format_of
from trainables.errors import UserError


def blocks(*values, height=16, width=24, dtype=np.uint8):
    """Vertical stripes of the values."""
    return np.array(values, dtype)[np.arange(width) * len(values) // width][None].repeat(height, 0)


def save(path, pixels, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels) if mode is None else Image.fromarray(pixels).convert(mode)
    if palette:
        image.putpalette(palette)
    image.save(path)


def folder(root, classes="Background\nPaper\nGlass\n", **masks):
    """images/ and masks/ with a photo for each mask, and a list of classes."""
    for name, pixels in masks.items():
        photo(root / "images" / f"{name}.jpg", pixels.shape[1], pixels.shape[0])
        save(root / "masks" / f"{name}.png", pixels)
    (root / "classes.txt").write_text(classes)
    return root


def read(path):
    with Image.open(path) as image:
        return np.array(image).astype(int)


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


def coloured(source, name="a"):
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:, 8:16], pixels[:, 16:] = (128, 64, 0), (0, 128, 0)
    save(source / "masks" / f"{name}.png", pixels)
    return np.where(pixels[..., 0] > 0, 1, np.where(pixels[..., 1] > 0, 2, NOTHING))


@pytest.mark.parametrize(
    "classes",
    [
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,0::\nice rink:0,128,0::\n",
        "name,r,g,b\nBackground,0,0,0\nroad,128,64,0\nice rink,0,128,0\n",
        "Background 0 0 0\nroad\t128 64 0\nice rink 0 128 0\n",
        "label;r;g;b\nBackground;0;0;0\nroad;128;64;0\nice rink;0;128;0\n",
        "id,name,r,g,b\n2,ice rink,0,128,0\n0,Background,0,0,0\n1,road,128,64,0\n",
    ],
)
def test_lists_of_other_tools_give_colours(tmp_path, classes):
    source = folder(tmp_path / "src", classes, a=blocks(0))
    expected = coloured(source)
    _, dataset = import_from("masks", source)
    assert names(dataset) == {1: "road", 2: "ice rink"}
    assert (category_maps(dataset)["a.jpg"] == expected).all()


def test_the_head_of_a_table_is_no_class(tmp_path):
    _, dataset = import_from("masks", folder(tmp_path / "src", "id,name\n0,background\n7,road\n", a=blocks(0, 7)))
    assert names(dataset) == {7: "road"}


@pytest.mark.parametrize(
    "text", ["Paper,1\nGlass, 0\n", "name;id\nPaper;1\nGlass;0", "Paper=1\nGlass = 0", "Paper\t1\nGlass\t0"]
)
def test_values_may_stand_behind_the_names(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    assert read_class_list(tmp_path / "classes.txt").names == {1: "Paper", 0: "Glass"}


@pytest.mark.parametrize("text", ["lane 1\nlane 2\n", "Paper 1\nGlass\n", "Paper 7\n"])
def test_names_may_end_with_numbers(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    assert list(read_class_list(tmp_path / "classes.txt").names.values()) == text.splitlines()


def test_what_labelme_ignores_is_no_class_and_does_not_count(tmp_path):
    source = folder(tmp_path / "src", "__ignore__\n_background_\nPaper\n", a=blocks(0, 1, 255))
    _, dataset = import_from("masks", source)
    assert names(dataset) == {1: "Paper"}


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


@pytest.mark.parametrize("name", ["bg", "_background_", "BACK GROUND", "배경"])
def test_the_background_has_many_names(tmp_path, name):
    _, dataset = import_from("masks", folder(tmp_path / "src", f"{name}\nPaper\n", a=blocks(0, 1)))
    assert dataset.class_names == ("Background", "Paper")


@pytest.mark.parametrize("separator", [" ", ",", ", ", ":", ": ", "\t"])
def test_names_are_taken_as_they_are_behind_any_separator(tmp_path, separator):
    names = ["background", "3 cans", "a,b  c", "#5", "4 5 6 x", "key: value"]
    (tmp_path / "classes.txt").write_text("".join(f"{value}{separator}{name}\n" for value, name in enumerate(names)))
    assert read_class_list(tmp_path / "classes.txt").names == dict(enumerate(names))


def test_a_list_of_another_encoding_is_named(tmp_path):
    (tmp_path / "classes.txt").write_bytes("Hintergrund\nSüßes\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"classes.txt: is no text in UTF-8 \(byte 13\)"):
        read_class_list(tmp_path / "classes.txt")


def test_void_becomes_background_or_stays_out(tmp_path):
    source = folder(tmp_path / "src", a=blocks(0, 1, 255))
    report, dataset = import_from("masks", source)
    assert report.notes[0].startswith("128 pixels of no class became background")
    (tmp_path / "src-imported").rename(tmp_path / "first")
    report, dataset = import_from("masks", source, void="ignore")
    assert not report.notes
    assert dataset.class_names == ("Background", "Paper", "Glass")
    assert (category_maps(dataset)["a.jpg"][0] == [0] * 8 + [1] * 8 + [NOTHING] * 8).all()


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


def test_a_name_in_vocs_lists_is_not_cut_at_another_dot_than_that_of_the_ending(tmp_path):
    photo(tmp_path / "voc/JPEGImages/x.jpg")
    save(tmp_path / "voc/SegmentationClass/x.png", blocks(0, 15))
    (tmp_path / "voc/ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "voc/ImageSets/Segmentation/train.txt").write_text("x.2\n")
    with pytest.raises(UserError, match=r"ImageSets/Segmentation names x\.2, which has no mask"):
        import_from("voc", tmp_path / "voc")


def test_voc_in_its_colours_reads_as_its_palette_does(tmp_path):
    root = tmp_path / "VOC2012"
    photo(root / "JPEGImages/x.jpg")
    coloured = np.array([voc_colour(value) for value in range(256)], np.uint8)[blocks(0, 20, 255)]
    save(root / "SegmentationClass/x.png", coloured)
    _, dataset = import_from("voc", root)
    assert (category_maps(dataset)["x.jpg"][0] == [0] * 8 + [20] * 8 + [NOTHING] * 8).all()


def test_the_first_colours_of_voc():
    known = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert [voc_colour(value) for value in range(5)] == known
    assert voc_colour(255) == (224, 224, 192)


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


def test_ade20k_takes_names_from_its_table(tmp_path):
    root = tmp_path / "ade"
    for split in ("training", "validation"):
        photo(root / "images" / split / "a.jpg")
        save(root / "annotations" / split / "a.png", blocks(0, 2))
    (root / "objectInfo150.txt").write_text("Idx\tRatio\tName\n1\t0.1\twall, side\n2\t0.1\tbuilding, edifice\n")
    _, dataset = import_from("ade20k", root)
    assert names(dataset) == {1: "wall", 2: "building"}
    assert (category_maps(dataset)["a.jpg"][0] == [NOTHING] * 12 + [2] * 12).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no class"),
        ("0 a\nb\n", "line 2: 'b' is not of the form of the first line"),
        ("1 a\n1 b\n", "line 2: the value 1 comes twice"),
        ("1 a\n99999999999 b\n", "line 2: the value 99999999999 is above"),
        ("1 2 3 a\n1 2 3 b\n", "line 2: the colour"),
        ("Paper 1\nbackground 0\n", "names with values behind them, as .Paper 1.; write the value before"),
    ],
)
def test_faults_of_a_list_of_classes_name_the_line(tmp_path, text, message):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read_class_list(tmp_path / "classes.txt")
