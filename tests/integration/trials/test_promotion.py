"""A study that promotes: paused trials survive the death of the driver, and the best of them goes on after --resume."""

import os
import signal
from pathlib import Path

RECIPES = "RECIPES = [{'lr': 5e-3}, {'lr': 1e-6}, {'lr': 2e-6}, {'lr': 3e-6}]"
TRIALS = (1, 2, 3, 4)


def test_a_paused_trial_survives_a_kill_and_is_promoted_when_the_study_is_resumed(line, wait_for):
    """Rungs are at the epochs 1 and 4: of four trials that come to the first, one goes on, to its end."""
    space = Path(line.small_space(epochs=6, lowest_lr=1e-6))
    space.write_text(f"{space.read_text(encoding='utf-8')}\n\n{RECIPES}\n", encoding="utf-8")
    command = ["--space", str(space), "--data", str(line.data), "--trials", "4", "--name", "study"]
    command += ["--scheduler", "promote", "--grace-period", "1", "--reduction-factor", "4"]
    command += ["--concurrency", "1", "--cpus-per-trial", "1"]
    process = line.start(*command)
    wait_for(lambda: line.records("study", 1) and _statuses(line).get(1) == "SCHEDULED", process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = line.records("study", 1)
    assert len(before) == 1
    assert not list((line.runs / "study" / "trials").glob("*/verdict.json")), "a paused trial has not ended"
    assert (line.runs / "study" / "trials" / "0001" / "state.pt").exists()

    process = line.start(*command, "--resume")
    assert process.wait(timeout=300) == 0, line.output()
    scores = {number: line.records("study", number)[0]["holdout/miou"] for number in TRIALS}
    best = max(scores, key=lambda number: (scores[number], -number))
    epochs = {number: len(line.records("study", number)) for number in TRIALS}
    assert epochs == {number: 6 if number == best else 1 for number in TRIALS}
    assert line.records("study", 1)[:1] == before
    assert best == 1, "the trial that was paused before the kill learns, and the others do not"
    assert _statuses(line) == dict.fromkeys(TRIALS, "FINISHED")
    client, experiment = line.client()
    for run in client.search_runs([experiment]):
        if run.data.tags["segvote.kind"] == "trial":
            steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "holdout/miou")]
            assert steps == list(range(1, epochs[int(run.data.tags["segvote.trial"])] + 1))
    assert not list((line.runs / "study" / "trials").glob("*/state.pt"))


def _statuses(line) -> dict[int, str]:
    """The status of each trial's run in MLflow, by the trial's number."""
    client, experiment = line.client()
    runs = [run for run in client.search_runs([experiment]) if run.data.tags["segvote.kind"] == "trial"]
    return {int(run.data.tags["segvote.trial"]): run.info.status for run in runs}
