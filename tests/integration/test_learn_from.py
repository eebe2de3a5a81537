"""`--learn-from`, as users type it: a study on other data is read, told of, kept, and learnt from again on resuming."""

import json
import shutil

import pytest

from tests.search.tuning.searchers.test_other_studies import write_study

SPACE = """
return {
    "head": trial.suggest_categorical("head", ["fpn", "unet"]),
    "backbone": "mobilenetv3_small_050",
    "lr": trial.suggest_float("lr", 1e-3, 1e-2, log=True),
    "precision": "fp32",
    "fold": 0,
    "pretrained": False,
    "batch_size": 4,
    "image_size": "32",
    "epochs": 1,
}
"""


@pytest.fixture
def other(line):
    """A study on other data, in which fpn was always better than unet; one of its trials failed."""
    trials = [
        ({"head": head, "lr": 10**-rate}, [score])
        for head, score in (("fpn", 0.8), ("unet", 0.3))
        for rate in (2.1, 2.5, 2.9)
    ]
    write_study(line.runs / "other", [*trials, ({"head": "unet", "lr": 2e-3}, [])])
    return line.runs / "other"


def test_a_search_learns_from_another_study_and_goes_on_without_it(line, other):
    flags = ["--space", line.space(SPACE), "--data", str(line.data), "--folds", "3", "--name", "new"]
    flags += ["--concurrency", "1", "--learn-from", "other"]
    assert line.run_here(*flags, "--trials", "1", "--dry-run") == 0
    assert "6 trials of other; 1 could not be used, because they have no score" in line.output()
    assert line.run_here(*flags, "--trials", "1") == 0, line.output()

    client, experiment = line.client()
    study = next(run for run in client.search_runs([experiment]) if run.data.tags["segvote.kind"] == "study")
    assert study.data.params["learn_from"] == "['other']"
    assert study.data.params["learnt_trials"] == "6"
    manifest = json.loads((line.runs / "new" / "study.json").read_text())
    assert [(one["name"], len(one["trials"])) for one in manifest["learnt"]] == [("other", 6)]

    shutil.rmtree(other)
    assert (
        line.run_here(
            "--resume", "--name", "new", "--trials", "4", "--data", str(line.data), "--space", line.space(SPACE)
        )
        == 0
    ), line.output()
    heads = [_suggestion(line, number)["sampled"]["head"] for number in range(1, 5)]
    assert heads == ["fpn"] * 4
    assert line.output().count("6 trials of other") == 3


def test_a_study_that_is_not_there_is_refused_before_anything_is_loaded(line, other):
    assert line.run_here("--name", "new", "--learn-from", "otter") == 2
    assert "--learn-from otter: there is no study of that name" in line.output()
    assert "did you mean other?" in line.output()
    assert not (line.runs / "new").exists()


def _suggestion(line, number):
    return json.loads((line.runs / "new" / "trials" / f"{number:04d}" / "suggestion.json").read_text())
