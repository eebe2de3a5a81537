"""How far a study is: the arithmetic, the screen, and the two places it is read from."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from ensembling.runs.tags import DUPLICATE, KIND, STUDY_ID
from search.cli import main
from search.commands.status.from_ledger import status_from_ledger
from search.commands.status.from_mlflow import status_from_mlflow, vote_and_gpus
from search.commands.status.show import sentence, show_status
from search.commands.status.status import StudyStatus, TrialStatus
from search.report.record.registered import read_registered
from search.screen.gpus import Gpu, parse_gpus
from search.screen.sparkline import sparkline
from search.study.planned import planned_trials
from search.tracking.store import connect, default_tracking_uri
from search.tracking.tracker import Tracker
from tests import tiny
from tests.search.report.made import make_search
from trainables.errors import UserError
from trainables.files import write_json
from trainables.trial.running_epoch import RunningEpoch


def trial(number, status, scores, *, epochs=10, began=0.0, epoch_s=10.0):
    moments = tuple(began + epoch_s * place for place in range(1, len(scores) + 1))
    return TrialStatus(number, f"unet number {number}", status, epochs, tuple(scores), moments, epoch_s)


STATUS = StudyStatus(
    name="night",
    now=105.0,
    total=6,
    rungs=(1, 3, 9),
    trials=(
        trial(1, "completed", [0.1 * place for place in range(1, 11)]),
        trial(2, "stopped", [0.05, 0.06]),
        trial(3, "unfinished", [0.2, 0.4, 0.3, 0.5], began=60.0),
        trial(4, "failed", [0.99]),
    ),
    vote=0.75,
)


def test_counts_and_the_best_leave_failures_out():
    assert (STATUS.ended, len(STATUS.unfinished), STATUS.best.number) == (3, 1, 1)


def test_time_left_goes_by_the_pace_of_all_trials_and_the_length_of_those_that_ended():
    """17 epochs ended within 90 s; ended trials had 6 on average, so 2 are left of trial 3 and 12 of two more."""
    assert STATUS.seconds_left == pytest.approx(14 * 90 / 16)
    assert STATUS.unfinished[0].seconds_left(STATUS.now) == pytest.approx(6 * 10 - 5)


def test_nothing_is_known_before_the_first_epoch():
    begun = StudyStatus("night", 0.0, None, (), (trial(1, "unfinished", []),), None)
    assert (begun.seconds_left, begun.quiet_s, begun.best) == (None, None, None)
    assert sentence(begun) == ("night: 0 trials ended (0 completed, 0 stopped, 0 failed); time left not known yet.")


def test_the_sentence_says_it_all():
    assert sentence(STATUS) == (
        "night: 3 of 6 trials ended (1 completed, 1 stopped, 1 failed); best mIoU 1.0000 (trial 1), vote 0.7500; "
        "about 79 s left."
    )


def test_paused_trials_do_not_train_and_say_how_long_others_will():
    """Three of four trials are paused after one epoch, one every 5 s: the last one is expected to train as long."""
    paused = [trial(number, "paused", [0.1], began=5.0 * number) for number in (1, 2, 3)]
    status = StudyStatus("night", 30.0, 4, (1, 3), (*paused, trial(4, "unfinished", [])), None)
    assert [one.number for one in status.unfinished] == [4]
    assert status.seconds_left == pytest.approx(5)
    assert sentence(status).startswith(
        "night: 0 of 4 trials ended (0 completed, 0 stopped, 0 failed), 3 more are paused; best mIoU 0.1000 (trial 1)"
    )


def test_a_study_that_has_gone_quiet_is_said():
    silent = StudyStatus("night", 10_000.0, 6, (), STATUS.trials, None)
    assert sentence(silent).endswith("Nothing was heard of it for 2 h 45 min: is it still running?")
    waiting = replace(silent, trials=(STATUS.trials[0], trial(2, "paused", [0.1])))
    assert "is it still running?" in sentence(waiting)


def test_a_study_that_no_process_runs_has_no_time_left():
    dead = replace(STATUS, alive=False)
    assert sentence(dead).endswith(
        "vote 0.7500. No process runs it: the same command with --resume --name night goes on with it."
    )
    assert (dead.seconds_left, dead.to_dict()["trials"][2]["seconds_left"], dead.to_dict()["alive"]) == (None,) * 2 + (
        False,
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(show_status(dead))
    assert "55 s" not in console.export_text()
    over = replace(STATUS, alive=False, total=2, trials=STATUS.trials[:2])
    assert "No process" not in sentence(over)


@pytest.mark.parametrize(("alive", "told"), [(False, None), (None, 1), (True, 1)])
def test_no_epoch_is_in_progress_where_no_process_runs_the_study(study, monkeypatch, alive, told):
    files = study.trial_files(1)
    write_json(files.suggestion, {"params": tiny.params(), "sampled": {}})
    files.running_epoch.begin(1)
    files.running_epoch.step(1, 9, 2.0)
    monkeypatch.setattr("search.commands.status.from_ledger.driver_alive", lambda directory: alive)
    status = status_from_ledger(study, gpus=("GPU 0: 50 % busy",))
    assert (status.alive, len(status.gpus)) == (alive, int(alive is not False))
    running = status.trials[0].running
    assert (running and running.step) == told


def test_the_screen_fits_80_columns_and_shows_each_trial_that_trains():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(show_status(replace(STATUS, gpus=(str(Gpu(0, "H100", 0.5, 10, 80)),))))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert all(word in text for word in ("4/10", "▁▆▃█", "0.5000", "55 s", "GPU 0 (H100): 50 % busy, 10.0 of 80.0 GB"))


def test_json_has_what_the_screen_has():
    told = json.loads(json.dumps(STATUS.to_dict()))
    assert (told["ended"], told["total"], told["best_miou"], told["vote_miou"]) == (3, 6, 1.0, 0.75)
    assert [one["number"] for one in told["trials"]] == [1, 2, 3, 4]
    assert told["trials"][2]["seconds_left"] == pytest.approx(55)


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [([], 5, ""), ([0.5], 5, "▁"), ([0, 7], 5, "▁█"), ([0, 1, 7], 2, "▂█"), ([3, 3, 3], 5, "▁▁▁")],
)
def test_sparklines(values, width, expected):
    assert sparkline(values, width) == expected


def test_what_nvidia_smi_says_is_read_and_what_it_does_not_know_is_none():
    found = parse_gpus("0, NVIDIA H100 80GB HBM3, 37, 10240, 81559\n1, Old card, [N/A], 512, 2048\nnonsense\n")
    assert [(one.index, one.busy, one.used_gb) for one in found] == [(0, 0.37, 10.0), (1, None, 0.5)]


def test_steps_of_the_first_epoch_say_how_long_it_takes():
    """10 of 40 steps took 10 s: 40 s an epoch, of which this trial has 10 and the other one too."""
    running = RunningEpoch(1, 10, 40, 0.75, 10.0, 100.0)
    begun = StudyStatus(
        "night", 103.0, 2, (), (replace(trial(1, "unfinished", []), epoch_s=None, running=running),), None
    )
    assert begun.unfinished[0].seconds_left(begun.now) == pytest.approx(400 - 13)
    assert begun.seconds_left == pytest.approx((20 - 0.25) * 40)
    assert begun.quiet_s == 3
    told = json.loads(json.dumps(begun.to_dict()))
    assert told["trials"][0]["running"]["step"] == 10


@pytest.fixture
def running_study(study):
    """The study while this process runs it."""
    with study.claimed(resume=True):
        yield study


def test_a_ledger_and_mlflow_tell_the_same(running_study, tmp_path):
    """One study in both; times are those of its epochs, wherever they are read."""
    study = running_study
    params = tiny.params(epochs=4)
    records = [
        {"epoch": epoch, "train/loss": 1.0, "holdout/miou": 0.1 * epoch, "epoch_s": 5.0, "time": 1000.0 + 5 * epoch}
        for epoch in (1, 2)
    ]
    files = study.trial_files(1)
    write_json(files.suggestion, {"params": params, "sampled": {}})
    client, experiment = connect(default_tracking_uri(tmp_path), tmp_path)
    tracker = Tracker(client, experiment, study.name, study.id)
    tracker.start_trial(1, params)
    for record in records:
        files.append_record(record)
    tracker.log_epochs(1, records)
    tracker.describe_study({"trials_planned": 4, "rungs": "1 3"}, [])
    assert status_from_mlflow(client, experiment, study.name).total == 4
    tracker.log_study({"vote_miou": 0.31, "trials_total": 4})
    files.running_epoch.begin(3)
    files.running_epoch.step(7, 9, 14.0)
    running = files.running_epoch.read()
    tracker.log_running({1: running}, ["GPU 0: 50 % busy"])
    told = vote_and_gpus(client, experiment, study.id)
    assert told == (0.31, ("GPU 0: 50 % busy",))
    ledger, mlflow = status_from_ledger(study, *told), status_from_mlflow(client, experiment, study.name)
    for one in (ledger, mlflow):
        (found,) = one.trials
        assert found.scores == pytest.approx((0.1, 0.2))
        assert found.moments == pytest.approx((1005.0, 1010.0))
        assert (found.number, found.status, found.epochs, found.epoch_s) == (1, "unfinished", 4, 5.0)
        assert found.label == "segformer mobilenetv3_small_050 ce 0.003"
        assert (found.loss, found.running) == (1.0, running)
        assert (one.vote, one.gpus) == (0.31, ("GPU 0: 50 % busy",))
    assert mlflow.rungs == (1, 3)
    assert (ledger.total, mlflow.total) == (4, 4)  # quickstart's own number
    tracker.end_study()  # what a driver that has ended wrote of its last moment is no longer so
    ended = status_from_mlflow(client, experiment, study.name)
    assert (ended.trials[0].running, ended.gpus, mlflow.alive, ended.alive) == (None, (), None, False)
    with pytest.raises(UserError, match=r"there is no study mime \(did you mean mine\?\)"):
        status_from_mlflow(client, experiment, "mime")


def test_a_trial_that_broke_and_trains_again_is_not_shown_as_failed(tmp_path):
    client, experiment = connect(default_tracking_uri(tmp_path), tmp_path)
    tracker = Tracker(client, experiment, "mine", "id-of-mine")
    tracker.start_trial(1, tiny.params())
    tracker.end_trial(1, "FAILED", {"segvote.status": "failed"}, {})
    status = lambda: [one.status for one in status_from_mlflow(client, experiment, "mine").trials]  # noqa: E731
    assert status() == ["failed"]
    Tracker(client, experiment, "mine", "id-of-mine").start_trial(1, tiny.params())
    assert status() == ["unfinished"]


def test_of_a_run_that_mlflow_made_twice_the_duplicate_is_passed_over(tmp_path):
    client, experiment = connect(default_tracking_uri(tmp_path), tmp_path)
    tracker = Tracker(client, experiment, "mine", "id-of-mine")
    tracker.log_study({"vote_miou": 0.31})
    client.create_run(experiment, tags={KIND: DUPLICATE, STUDY_ID: "id-of-mine"})  # newer, so a search lists it first
    assert vote_and_gpus(client, experiment, "id-of-mine") == (0.31, ())
    assert read_registered(client, experiment, "id-of-mine").parent_id == tracker.parent_id
    assert vote_and_gpus(client, experiment, "id-of-another") == (None, ())


@pytest.mark.parametrize(("scheduler", "shown"), [("promote", "paused"), ("stop", "unfinished")])
def test_a_ledger_and_mlflow_say_who_is_paused(running_study, tmp_path, scheduler, shown):
    """Trial 1 waits at the first rung; trial 2 came to it as well, and trains its next epoch."""
    study = running_study
    study.manifest["settings"] |= {"scheduler": scheduler, "epochs": 9, "grace_period": 1}
    client, experiment = connect(default_tracking_uri(tmp_path), tmp_path)
    tracker = Tracker(client, experiment, study.name, study.id)
    for number in (1, 2):
        files = study.trial_files(number)
        write_json(files.suggestion, {"params": tiny.params(epochs=9), "sampled": {}})
        files.append_record({"epoch": 1, "holdout/miou": 0.1, "train/loss": 1.0, "epoch_s": 5.0, "time": 1000.0})
        tracker.start_trial(number, tiny.params(epochs=9))
    files.running_epoch.begin(2)
    files.running_epoch.step(1, 9, 2.0)
    assert [one.status for one in status_from_ledger(study).trials] == [shown, "unfinished"]
    if scheduler == "promote":
        tracker.pause_trial(1)
    assert [one.status for one in status_from_mlflow(client, experiment, study.name).trials] == [shown, "unfinished"]


def test_a_study_that_has_its_vote_shows_it(study):
    make_search(study, trials=4, epochs=3, voters=2)
    vote = status_from_ledger(study).vote
    assert vote == json.loads(study.ensemble_file.read_text())["miou"]


@pytest.mark.parametrize(
    ("stored", "number"),
    [
        ({"space": "quickstart", "trials": 9}, 9),
        ({"space": "quickstart", "trials": None}, 4),
        ({"space": "quickstart", "grid": ["loss"], "trials": 7}, 2),
        ({"space": "quickstart", "grid": ["loss"], "seeds": 3, "all_folds": True, "folds": 2}, 12),
        ({"space": "/gone/space.py"}, None),
    ],
)
def test_how_many_trials_a_study_is_to_have(tmp_path, stored, number):
    assert planned_trials(stored, tmp_path) == number


def test_the_copy_of_a_space_file_that_is_gone_says_how_many_trials(tmp_path):
    (tmp_path / "space.py").write_text("TRIALS = 8\n\n\ndef suggest(trial):\n    return {}\n")
    assert planned_trials({"space": "/gone/mine.py"}, tmp_path) == 8


def test_the_command_shows_a_study_and_refuses_an_unknown_one(study, capsys):
    write_json(study.trial_files(1).suggestion, {"params": tiny.params(), "sampled": {}})
    where = ["--runs-dir", str(study.directory.parent)]
    assert main(["status", "--study", "mine", *where]) == 0
    assert "mine: 0 of 4 trials ended" in capsys.readouterr().out
    assert main(["status", "--study", "mine", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["study"] == "mine"
    assert main(["status", "--study", "other", *where]) == 2
    assert "mlflow.db" in capsys.readouterr().err


def test_a_report_is_written_by_the_command(study, capsys):
    write_json(study.trial_files(1).suggestion, {"params": tiny.params(), "sampled": {}})
    where = ["--runs-dir", str(study.directory.parent)]
    assert main(["report", "--study", "mine", *where]) == 0
    assert (study.directory / "report.html").read_text().startswith("<!doctype html>")
    assert main(["report", "--study", "mein", *where]) == 2
    assert "(did you mean mine?)" in capsys.readouterr().err
