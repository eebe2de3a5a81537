"""What `segvote data import` says."""

import zipfile

import pytest
from rich.console import Console

from search.commands.data.formats import run_import, show_problems
from tests.trainables.data.formats.reading import photo
from trainables.data.annotations.checks import Problem
from trainables.data.formats.imported import ImportOptions
from trainables.data.formats.readers import READERS
from trainables.errors import UserError


def test_photos_that_are_in_two_parts_are_told(tmp_path):
    """data.yaml names the training photos as validation, too, as many do who have no other photos."""
    source = tmp_path / "src"
    for name in "ab":
        photo(source / f"images/train/{name}.png")
        (source / "labels/train").mkdir(parents=True, exist_ok=True)
        (source / f"labels/train/{name}.txt").write_text("0 0.1 0.1 0.8 0.2 0.4 0.9\n")
    (source / "data.yaml").write_text("names: [Paper]\ntrain: images/train\nval: images/train\n")
    console = Console(record=True, width=200)
    assert run_import("yolo", source, tmp_path / "out", ImportOptions(), copy=False, console=console) == 0
    said = console.export_text()
    assert "2 things are odd in what was written:" in said
    assert "val.json, id 1: images/val/train/a.png has the very bytes of images/train/train/a.png of train.json" in said


@pytest.mark.parametrize("name", READERS)
def test_an_archive_is_told_to_be_one(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("data.yaml", "")
    with pytest.raises(UserError, match=r"export\.zip is a ZIP archive; unpack it"):
        run_import(name, tmp_path / "export.zip", tmp_path / "out", ImportOptions(), copy=False, console=Console())


def test_photos_are_left_out_of_formats_that_list_them_alone(tmp_path):
    options = ImportOptions(skip_photos=True)
    with pytest.raises(
        UserError, match="--skip-photos is for coco and roboflow, whose files list the photos, not for voc"
    ):
        run_import("voc", tmp_path, tmp_path / "out", options, copy=False, console=Console())


def test_one_and_several_problems_are_counted_in_words_that_fit(capsys):
    one = Problem("a.json", 7, "is broken", "mend it")
    for problems in ((one,), (one, one)):
        show_problems(("shape was skipped", "shapes were skipped"), problems, Console(width=200))
    assert [line for line in capsys.readouterr().out.splitlines() if "skipped" in line] == [
        "1 shape was skipped:",
        "2 shapes were skipped:",
    ]
