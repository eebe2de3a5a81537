"""Lists of classes, in the forms that tools write."""

import pytest

from tests.trainables.data.formats.mask_files import blocks, coloured, folder, save
from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from trainables.data.formats.class_lists import read_class_list, voc_colour
from trainables.errors import UserError


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


def test_the_first_colours_of_voc():
    known = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert [voc_colour(value) for value in range(5)] == known
    assert voc_colour(255) == (224, 224, 192)


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
