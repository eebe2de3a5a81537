"""`segvote data folds` on a real data set."""

import json

from PIL import Image
from rich.console import Console

from search.cli import main
from search.commands.data.folds import FoldsOptions, run_folds
from tests.trainables.data.made import real
from trainables.data.coco import load_annotations
from trainables.data.scenes import declared_scenes


def test_all_methods_stand_side_by_side(tmp_path):
    dataset = load_annotations(real("recycle60"))
    file = tmp_path / "folds.csv"
    names = [dataset.images[row].file_name for row in dataset.rows("train")]
    file.write_text("image,fold\n" + "".join(f"{name},{place % 3}\n" for place, name in enumerate(names)))
    console = Console(record=True, width=150)
    options = FoldsOptions(3, "multilabel", file, 0.2, 0)
    assert run_folds(dataset, declared_scenes(dataset.images), options, tmp_path, console) == 0
    said = console.export_text()
    for method in ("sgkf", "multilabel", "random", "predefined"):
        assert f"│ {method} " in said
    assert "multilabel: % of the photos, by number of classes" in said
    assert "Fewer training photos than folds: Glass (1), Battery (0), Clothing (2)" in said
    numbers = json.loads((tmp_path / "folds.json").read_text())
    assert numbers["predefined"]["photos"] == {"fold 0": 13, "fold 1": 13, "fold 2": 12, "holdout": 10}
    assert numbers["sgkf"]["worst_deviation"]["points"] > 0
    with Image.open(tmp_path / "folds.png") as picture:
        assert min(picture.size) > 300


def test_predefined_folds_need_their_file(tmp_path, capsys):
    typed = ["data", "folds", "--data", str(tmp_path), "--folds-by", "predefined"]
    assert main(typed) == 2
    assert "--folds-by predefined needs a file of image and fold: give --folds-file FILE" in capsys.readouterr().err
