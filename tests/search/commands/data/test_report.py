"""The data report and the pictures, as files."""

import json
import re

import pytest
from PIL import Image
from rich.console import Console

from search.commands.data.report import run_report
from search.commands.data.show import ShowOptions, run_show
from tests.trainables.data.made import annotation, box, coco, image, write, write_photo
from trainables.data.coco import load_annotations, load_dataset
from trainables.data.scenes import find_scenes
from trainables.errors import UserError


@pytest.fixture
def root(tmp_path):
    shapes = [annotation(1, 1, 1, box(0, 0, 15, 8)), annotation(2, 1, 2, box(3, 3, 4, 4)), annotation(3, 2, 2)]
    train = coco([image(1, "a.png"), image(2, "b <i>.png"), image(3, "c.png")], shapes)
    return write(tmp_path / "data", train=train, val=coco([image(1, "v.png")], [annotation(1, 1, 1)]))


def quiet():
    return Console(quiet=True)


def test_the_page_needs_nothing_but_itself(root, tmp_path):
    assert run_report(load_dataset(root), tmp_path / "out", folds=5, scenes=None, pictures=True, console=quiet()) == 0
    page = (tmp_path / "out/report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "<script" not in page
    assert "url(http" not in page
    assert page.count("<svg") == 7
    assert "data:image/jpeg;base64," in page
    assert "currentColor" in page
    assert "#1f2328" not in page.partition("</style>")[2]
    assert json.loads((tmp_path / "out/numbers.json").read_text())["annotations"] == 4
    for name in ("classes", "splits", "areas", "per_image", "cooccurrence", "sizes", "hidden"):
        with Image.open(tmp_path / f"out/{name}.png") as picture:
            assert min(picture.size) > 150


@pytest.mark.parametrize("side", [8, 30])  # where all areas are alike, too, the axis has a number
def test_no_chart_shows_a_formula_in_place_of_a_number(tmp_path, side):
    shapes = [annotation(1, 1, 1, box(0, 0, side, 30)), annotation(2, 2, 2, box(1, 1, 30, 30))]
    root = write(tmp_path / "data", train=coco([image(1, "a.png", 32, 32), image(2, "b.png", 32, 32)], shapes))
    assert run_report(load_dataset(root), tmp_path / "out", folds=5, scenes=None, pictures=False, console=quiet()) == 0
    page = (tmp_path / "out/report.html").read_text()
    assert "mathdefault" not in page
    assert re.search(r">[25]00</text>|>1,000</text>", page)
    assert "none is mostly hidden" in page


def test_photos_that_cannot_be_read_are_told_together_and_the_page_is_written_all_the_same(root, tmp_path):
    for name in ("a.png", "b <i>.png"):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])
    console = Console(record=True, width=200, quiet=False)
    assert run_report(load_dataset(root), tmp_path / "out", folds=5, scenes=None, pictures=True, console=console) == 0
    said = console.export_text()
    assert "2 photos cannot be read and are grey in the pictures:" in said
    assert "train.json, id 1: a.png is truncated or damaged" in said
    assert "data:image/jpeg;base64," in (tmp_path / "out/report.html").read_text()


def test_without_photos_there_are_figures_and_no_pictures(root, tmp_path):
    (root / "a.png").unlink()
    dataset = load_annotations(root)
    assert run_report(dataset, tmp_path / "out", folds=5, scenes=None, pictures=False, console=quiet()) == 0
    assert "data:image/jpeg" not in (tmp_path / "out/report.html").read_text()
    assert not (tmp_path / "out/pictures").exists()


def test_the_same_bytes_in_two_files_are_told(root, tmp_path):
    write_photo(root / "a.png", 20, 10, 7)
    write_photo(root / "v.png", 20, 10, 7)
    dataset = load_dataset(root)
    scenes = find_scenes(dataset)
    run_report(dataset, tmp_path / "out", folds=5, scenes=scenes, pictures=False, console=quiet())
    found = json.loads((tmp_path / "out/numbers.json").read_text())["duplicates"]
    assert (found["groups"], found["across_splits"]) == (1, 1)
    assert found["listed"] == [["train: a.png", "val: v.png"]]
    assert "1 of them has photos in several files" in (tmp_path / "out/report.html").read_text()


def test_the_four_looks_are_files(root, tmp_path):
    run_show(load_dataset(root), ShowOptions(), tmp_path / "out", quiet())
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {
        "images", "most-labelled", "least-labelled", "annotations-of-train-1",
        "paper-largest", "paper-smallest", "glass-largest", "glass-smallest",
    }  # fmt: skip


def test_classes_of_odd_names_are_drawn_and_have_files_of_their_own(tmp_path, recwarn):
    names = ["a whole sentence " * 20, "$5^{ or $10", "종이 🍾", "Box!", "box?", "_under", "<b>x</b>"]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    shapes = [annotation(one["id"], 1, one["id"], box(2 * one["id"], 1, 2, 4)) for one in categories]
    dataset = load_dataset(write(tmp_path / "data", train=coco([image(1, "a.png")], shapes, categories)))
    assert run_report(dataset, tmp_path / "out", folds=5, scenes=None, pictures=True, console=quiet()) == 0
    run_show(dataset, ShowOptions(classes=tuple(name.strip() for name in names)), tmp_path / "shown", quiet())
    shown = {path.stem.removesuffix("-largest") for path in (tmp_path / "shown").glob("*-largest.png")}
    assert {"box--4", "box--5"} < shown
    assert len(shown) == len(names)
    assert not [str(warning.message) for warning in recwarn if issubclass(warning.category, UserWarning)]


def test_chosen_images_and_classes_alone(root, tmp_path):
    options = ShowOptions(images=("a.png", "2"), classes=("Glass",), annotations_of=("3",))
    run_show(load_dataset(root), options, tmp_path / "out", quiet())
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"images", "glass-largest", "glass-smallest"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ShowOptions(images=("9",)), "no image has the id or file name '9'"),
        (ShowOptions(images=("1",)), "'1' may be any of train.json: a.png, val.json: v.png"),
        (ShowOptions(classes=("Wood",)), "--class 'Wood': the classes are Paper, Glass"),
    ],
)
def test_what_cannot_be_shown_is_an_error(root, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run_show(load_dataset(root), options, tmp_path / "out", quiet())


def test_a_single_object_is_drawn_where_it_is(root):
    from search.commands.data.galleries import TILE, class_by_area, draw_look
    from trainables.data.exploration.table import make_table

    made = make_table(load_dataset(root))
    look = class_by_area(made, 1, 5, ascending=False)
    assert [annotation.id for _, annotation in look.tiles] == [3, 2]
    assert draw_look(look, made.dataset, {}).width == 4 * TILE
