"""The flags of `segvote data`: those that choose and limit files are the search's own."""

import click
import pytest

from search.cli import main
from search.cli.data import data_command
from search.run import search_command
from tests.trainables.data.made import annotation, coco, image, small, write


def said(capsys, *arguments):
    code = main(["data", *map(str, arguments)])
    return code, "".join(capsys.readouterr())


@pytest.mark.parametrize("name", ["report", "show", "folds", "export"])
def test_flags_that_a_search_has_too_are_the_same(name):
    context = click.Context(data_command.commands[name])
    ours = {option.name: option.to_info_dict() for option in context.command.params}
    theirs = {option.name: option.to_info_dict() for option in search_command.params}
    for flag in ("train_json", "val_json", "max_megapixels", "unlabelled", "cache_dir", "edits"):
        assert ours[flag] == theirs[flag]


def test_files_of_other_names_are_read(tmp_path, capsys):
    root = write(tmp_path / "data", **{"first": small(), "second": coco([image(7, "c.png")], [annotation(9, 7, 2)])})
    files = ("--data", root, "--train-json", "first.json", "--val-json", "second.json")
    out = ("--out", tmp_path / "out", "--cache-dir", tmp_path / "cache")
    code, text = said(capsys, "export", "coco", *files, *out)
    assert code == 0, text
    assert sorted(path.name for path in (tmp_path / "out").glob("*.json")) == ["train.json", "val.json"]
    code, text = said(capsys, "folds", "--no-photos", "--folds", "2", *files, "--out", tmp_path / "folds")
    assert code == 0, text
    assert "photos" in text


def test_a_photo_beyond_the_limit_is_refused(tmp_path, capsys):
    root = write(tmp_path / "data", train=small())
    code, text = said(capsys, "show", "--data", root, "--max-megapixels", "0.0001", "--cache-dir", tmp_path / "cache")
    assert code == 2
    assert "max-megapixels" in text


def test_a_file_is_named_once(tmp_path, capsys):
    root = write(tmp_path / "data", photos=False, train=small())
    file = root / "train.json"
    code, text = said(capsys, "report", "--no-photos", "--data", file, "--train-json", "train.json")
    assert (code, "is a COCO file itself" in text) == (2, True)


@pytest.mark.parametrize("command", [["report"], ["show"], ["show", "--augment"], ["folds"]])
def test_a_place_that_cannot_be_written_is_refused_before_photos_are_read(tmp_path, monkeypatch, capsys, command):
    root = write(tmp_path / "data", train=small())
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setattr("trainables.data.load_dataset", lambda *_, **__: pytest.fail("the data set was read"))
    assert main(["data", *command, "--data", str(root), "--out", str(tmp_path / "taken/report")]) == 2
    assert f"--out {tmp_path / 'taken/report'} cannot be written to" in capsys.readouterr().err
