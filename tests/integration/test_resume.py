"""Studies that are killed, stopped and resumed: nothing is lost, trained twice or logged twice."""

import json
import os
import re
import shutil
import signal

import psutil
import pytest

from search.tuning.why_broken import DIED
from tests.search.tuning.searchers.made import write_study

SHORT_SPACE = """
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


def _epochs_shown(line) -> int:
    return len(re.findall(r"trial +\d  epoch", line.output()))


def _epochs(line, *numbers: int) -> list[int]:
    return [len(line.records("study", number)) for number in numbers]


def test_killed_and_interrupted_study_resumes(line, wait_for):
    """The driver is killed, then interrupted, then a trial's process is killed: one study, since each start is long."""
    command = ["--space", line.small_space(epochs=6), "--data", str(line.data), "--trials", "3", "--name", "study"]
    command += ["--grace-period", "6", "--cpus-per-trial", "1"]
    process = line.start(*command, "--concurrency", "2")
    wait_for(lambda: max(_epochs(line, 1, 2)) >= 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    at_kill = {number: line.records("study", number) for number in (1, 2)}
    shown = _epochs_shown(line)

    command += ["--concurrency", "1"]
    process = line.start(*command, "--resume")
    wait_for(lambda: _epochs_shown(line) > shown, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert "--resume" in line.output()
    assert "Traceback" not in line.output()
    client, experiment = line.client()
    statuses = {run.info.run_name: run.info.status for run in client.search_runs([experiment])}
    # Where a busy machine takes longer than stopping may, the resumed study makes up for the rest.
    cut_short = "before all of its last steps were done" in line.output()
    assert cut_short or statuses["study"] == "KILLED"
    assert set(statuses.values()) <= {"KILLED", "FINISHED", *(["RUNNING"] if cut_short else [])}

    process = line.start(*command, "--resume")
    wait_for(lambda: _epochs(line, 3)[0] >= 2, process)
    for worker in _trial_processes(process.pid):
        worker.kill()
    before = line.records("study", 3)
    assert process.wait(timeout=300) == 0, line.output()
    assert line.records("study", 3)[: len(before)] == before
    assert f": {DIED}; it is trained again after epoch" in " ".join(line.output().split())
    assert "resuming after epoch" in (line.runs / "study" / "trials" / "0003" / "log.txt").read_text()

    # What was trained before the kill is as it was, to the millisecond that it took.
    for number, records in at_kill.items():
        assert line.records("study", number)[: len(records)] == records
    runs = [run for run in client.search_runs([experiment]) if run.data.tags["segvote.kind"] == "trial"]
    assert sorted(int(run.data.tags["segvote.trial"]) for run in runs) == [1, 2, 3]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "holdout/miou")]
        assert steps == [1, 2, 3, 4, 5, 6]
    parents = [run for run in client.search_runs([experiment]) if run.data.tags["segvote.kind"] == "study"]
    assert [run.info.status for run in parents] == ["FINISHED"]
    # A trial that has ended needs no optimizer state any more.
    assert not list((line.runs / "study" / "trials").glob("*/state.pt"))

    # A study of the same seed that nothing happened to draws the same trials and ends with the same figures.
    assert line.run_here(*command, "--name", "calm") == 0, line.output()
    for number in (1, 2, 3):
        whole, pieces = ([_figures(record) for record in line.records(name, number)] for name in ("calm", "study"))
        assert whole == pieces


def _figures(record: dict) -> dict:
    """What the seed decides: no times, no memory."""
    return {key: value for key, value in record.items() if "iou" in key or key in ("train/loss", "lr")}


def _trial_processes(driver: int) -> list[psutil.Process]:
    workers = psutil.Process(driver).children(recursive=True)
    return [worker for worker in workers if "Trainable" in " ".join(worker.cmdline())]


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
    flags = ["--space", line.space(SHORT_SPACE), "--data", str(line.data), "--folds", "3", "--name", "new"]
    flags += ["--concurrency", "1", "--learn-from", "other"]
    assert line.run_here(*flags, "--trials", "1", "--dry-run") == 0
    assert "6 trials of other; 1 could not be used, because they have no score" in line.output()
    assert "none with promotion" in " ".join(line.output().split())
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
            "--resume", "--name", "new", "--trials", "4", "--data", str(line.data), "--space", line.space(SHORT_SPACE)
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


def _suggestion(line, number: int) -> dict:
    return json.loads((line.runs / "new" / "trials" / f"{number:04d}" / "suggestion.json").read_text())
