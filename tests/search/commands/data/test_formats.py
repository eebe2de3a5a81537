"""What `segvote data import` says."""

from rich.console import Console

from search.commands.data.formats import run_import
from tests.trainables.data.formats.reading import photo
from trainables.data.formats.imported import ImportOptions


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
