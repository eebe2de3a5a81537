"""A runs directory that was copied elsewhere, its study renamed, and the original hidden: the copy is whole."""

import dataclasses
import json
import shutil

from search.cli import main

SPACE = """
return {
    "head": "fpn",
    "backbone": "mobilenetv3_small_050",
    "lr": trial.suggest_float("lr", 1e-3, 1e-2, log=True),
    "pretrained": False,
    "batch_size": 4,
    "image_size": "32",
    "epochs": 1,
}
"""


def test_a_study_goes_on_votes_is_refitted_and_predicts_in_a_copy(line, monkeypatch):
    there = dataclasses.replace(line, directory=line.directory.with_name("there"))
    here, photos = line.directory, line.directory / "photos"
    shutil.copytree(line.data, photos)
    store = f"sqlite:///{line.runs / 'mlflow.db'}"  # typed, so that the study remembers it
    search = ["--space", line.space(SPACE), "--data", str(photos), "--name", "before", "--trials", "2"]
    small = ["--concurrency", "1", "--cpus-per-trial", "1"]
    assert line.run_here(*search, *small, "--folds", "2", "--tracking-uri", store) == 0, line.output()
    for moved in ("runs", "photos"):
        shutil.copytree(here / moved, there.directory / moved)
    here.rename(here.with_name("hidden"))
    (there.runs / "before").rename(there.runs / "after")

    def works(command, *arguments):
        assert there.run_here(*arguments, command=command) == 0, there.output()

    works("search", "--resume", "--name", "after", "--trials", "3")
    assert len(there.records("after", 3)) == 1
    ensemble = json.loads((there.runs / "after" / "ensemble.json").read_text())
    assert {one["trial"] for one in ensemble["candidates"]} == {1, 2, 3}
    works("ensemble", "--studies", "after", "--name", "typed", "--tracking-uri", "sqlite:///runs/mlflow.db")
    works("refit", "--ensemble", "typed", "--name", "again", *small)
    monkeypatch.chdir(there.directory)
    for reference in ("after", "before", "before-0002", "typed", "again"):
        assert main(["predict", "--ensemble", reference, "--images", "photos/test.json", "--out", reference]) == 0
        assert (there.directory / reference / "submission.csv").is_file()
