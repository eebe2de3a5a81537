"""The last screen of a search: every trial, one recommendation, and commands that can be pasted."""

import dataclasses
import io
import shlex

import pytest
from rich.console import Console

from ensembling.assessment.bootstrap import Interval
from ensembling.runs.ensemble import EnsembleRecord, ListedMember, ListedRun
from search.cli.commands import commands
from search.report.end_of_search import next_commands, recommendation, show_trials, trial_rows
from tests import tiny
from trainables.config import TrialConfig
from trainables.files import write_json


@pytest.fixture
def trials(study):
    """Trial 1 completed, 2 was stopped, 3 failed before its first epoch, 4 goes on, 5 was never begun."""
    scores = {1: (0.2, 0.5, 0.4), 2: (0.6,), 3: (), 4: (0.1, 0.3)}
    for number, its in scores.items():
        files = study.trial_files(number)
        params = tiny.params(head="fpn" if number == 2 else "unet")
        write_json(files.suggestion, {"params": params, "sampled": {}})
        write_json(files.config, TrialConfig.from_dict(params).to_dict())
        for epoch, score in enumerate(its, start=1):
            files.append_record({"epoch": epoch, "holdout/miou": score, "train/loss": 1.0})
    study.trial_files(1).write_verdict({"status": "completed", "epochs": 3, "failure": None})
    study.trial_files(2).write_verdict({"status": "stopped", "epochs": 1, "failure": None})
    study.trial_files(3).write_verdict({"status": "failed", "epochs": 0, "failure": "loss is NaN [x]"})
    write_json(study.trial_files(5).suggestion, {"params": {}, "sampled": {}})
    return study


def test_every_trial_has_a_row_the_best_first(trials):
    backbone = tiny.PARAMS["backbone"]
    assert trial_rows(trials) == [
        ("1", f"fpn {backbone} ce", "1 of 3", "0.6000", "stopped at epoch 1", "2"),
        ("2", f"unet {backbone} ce", "2 of 3", "0.5000", "completed", "1"),
        ("3", f"unet {backbone} ce", "2 of 3", "0.3000", "goes on with --resume", "4"),
        ("–", f"unet {backbone} ce", "–", "–", "failed: loss is NaN [x]", "3"),
    ]
    console = Console(file=io.StringIO(), width=200)
    show_trials(console, trials)
    assert "loss is NaN [x]" in console.file.getvalue()


def test_the_trials_of_a_grid_are_told_apart_by_what_it_varies(trials):
    manifest = {**trials.manifest, "settings": {**trials.manifest["settings"], "grid": ["edits=none,edits.yaml"]}}
    grid = dataclasses.replace(trials, manifest=manifest)
    for number, edits in ((1, "none"), (2, "edits.yaml")):
        params = tiny.params(edits=edits, seed=number)
        write_json(grid.trial_files(number).config, TrialConfig.from_dict(params).to_dict())
    rows = {row[-1]: row[1] for row in trial_rows(grid)}
    backbone = tiny.PARAMS["backbone"]
    assert rows["1"] == f"segformer {backbone} ce edits=none seed=1"
    assert rows["2"] == f"segformer {backbone} ce edits=edits.yaml seed=2"


def test_a_trial_that_failed_late_has_no_rank_whatever_it_scored(trials):
    files = trials.trial_files(2)
    files.verdict.unlink()
    files.write_verdict({"status": "failed", "epochs": 1, "failure": "loss is NaN"})
    rows = trial_rows(trials)
    assert [(row[0], row[-1]) for row in rows] == [("1", "1"), ("2", "4"), ("–", "2"), ("–", "3")]
    assert rows[2][2:5] == ("1 of 3", "–", "failed: loss is NaN")


def test_names_are_whole_on_a_screen_of_80_columns(trials):
    params = tiny.params(head="segformer", backbone="tf_efficientnet_lite0", loss="ce_dice_3_1")
    write_json(trials.trial_files(2).config, TrialConfig.from_dict(params).to_dict())
    console = Console(file=io.StringIO(), width=80)
    show_trials(console, trials)
    shown = console.file.getvalue()
    for words in ("segformer", "tf_efficientnet_lite0", "ce_dice_3_1", "completed", " trial ┃"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 80


def ensemble(scores, *, gain=0.02, error=0.01, leave_one_out=0.004):
    runs = [
        {"run_id": str(index), "name": f"r{index}", "study": "night", "trial": index, "miou": score}
        for index, score in enumerate(scores)
    ]
    return EnsembleRecord(
        class_names=("Background", "Paper"),
        members=tuple(ListedMember(**run, leave_one_out=leave_one_out) for run in runs),
        candidates=tuple(ListedRun(**run) for run in runs),
        crossfit_gains={"best_single": Interval(gain, error)},
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (ensemble([0.6, 0.5, 0.5]), "Submit the vote of these 3: r0, r1, r2."),
        (ensemble([0.6, 0.5, 0.5], gain=0.01), "The best single run, r0, is as good as the vote of 3"),
        (ensemble([0.6, 0.5, 0.5], gain=-0.01), "The best single run, r0, is as good as the vote of 3"),
        (ensemble([0.6, 0.5, 0.5], gain=-0.02), "Submit the best single run, r0: on photos on which it was not"),
        (ensemble([0.6, 0.5, 0.5], error=None), "too small to tell the vote of these 3 from the best single run, r0"),
        (ensemble([0.6]), "Submit the best single run, r0: no vote scores higher on this holdout."),
        (ensemble([0.6, 0.5, 0.26]), r"r2 votes although it scores 0\.260, far below .* 0\.600: .* 0\.40 points less"),
    ],
)
def test_one_recommendation_is_made(made, words):
    with pytest.raises(ValueError, match=words):
        raise ValueError(recommendation(made))


def test_no_member_is_explained_that_needs_no_explanation():
    assert "although" not in recommendation(ensemble([0.6, 0.5, 0.4]))


@pytest.mark.parametrize("uri", [None, "http://host:5000"])
def test_the_next_commands_can_be_pasted(study, tmp_path, monkeypatch, uri):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for line in next_commands(study, tmp_path / "runs", uri):
        segvote, name, *arguments = shlex.split(line)
        params = commands.commands[name].make_context(name, arguments).params
        assert segvote == "segvote"
        assert (params["runs_dir"], params["tracking_uri"]) == (str(tmp_path / "runs"), uri)
    monkeypatch.chdir(tmp_path)
    assert "--runs-dir" not in " ".join(next_commands(study, (tmp_path / "runs").resolve(), None))
