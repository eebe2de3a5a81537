"""Screen: a live table on a terminal, plain lines elsewhere."""

import io

import pytest
from rich.console import Console

from search.screen.gpus import Gpu
from search.screen.progress import Progress, TrialProgress
from search.screen.running_table import SHOWN
from search.screen.screen import LINE_EVERY_S, Screen
from tests.search.screen.made import PARAMS, record, running, train


@pytest.fixture
def output():
    return io.StringIO()


def screen(progress, output, terminal=False):
    return Screen(progress, Console(file=output, force_terminal=terminal, width=120), "my-study")


def test_without_a_terminal_every_epoch_is_a_plain_line(progress, output):
    with screen(progress, output) as shown:
        progress.start(1, PARAMS)
        progress.epoch(1, record(1, 0.12345, 0.9876), 0.12345)
        shown.epoch(1)
    assert output.getvalue() == "trial   1  epoch 1/10  mIoU 0.1235  loss 0.988  (unet resnet18 0.0012)\n"


def test_the_end_of_a_trial_is_said_with_its_reason_and_the_state_of_the_study(progress, output, clock):
    with screen(progress, output) as shown:
        progress.start(1, PARAMS)
        train(progress, 1, 2, miou=0.5)
        progress.end(1, "stopped")
        clock.now = 10.0
        shown.ended(1)
        progress.start(2, PARAMS)
        progress.end(2, "failed")
        shown.ended(2, "NonFiniteError: [nan] (log: a/log.txt)")
    lines = output.getvalue().splitlines()
    assert lines == [
        "trial   1  stopped after 2 epochs, best mIoU 0.5000",
        "1/4 trials ended (0 completed, 1 stopped, 0 failed); best 0.5000 (trial 1); about 30 s left",
        "trial   2  failed after 0 epochs, no score: NonFiniteError: [nan] (log: a/log.txt)",
        "2/4 trials ended (0 completed, 1 stopped, 1 failed); best 0.5000 (trial 1); about 20 s left",
    ]


def test_before_the_first_score_the_summary_says_so(progress, output):
    with screen(progress, output) as shown:
        progress.start(1, PARAMS)
        progress.end(1, "failed")
        shown.ended(1, "its process died")
    assert "1 failed); no score yet; time left not known yet" in output.getvalue()


class EpochEnds(TrialProgress):
    """A trial whose epoch in progress ends in another thread as soon as somebody has looked at it."""

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name == "running":
            self.running = None
        return value


@pytest.mark.parametrize(
    "look",
    [
        lambda shown, trial: shown.within_epochs(),
        lambda shown, trial: shown.progress.seconds_left(),
        lambda shown, trial: trial.seconds_left(0.0),
        lambda shown, trial: trial.share,
    ],
)
def test_an_epoch_may_end_while_it_is_looked_at(progress, output, look):
    with screen(progress, output) as shown:
        progress.start(1, PARAMS)
        progress.look({1: running(1, 10)}.get)
        progress.trials[1].__class__ = EpochEnds
        look(shown, progress.trials[1])


def rendered(progress, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(Screen(progress, console, "my-study")._render())
    return console.file.getvalue()


def test_the_live_table_shows_running_trials_and_the_best(progress):
    progress.start(1, PARAMS)
    train(progress, 1, 3, miou=0.25)
    progress.start(2, PARAMS)
    progress.start(3, {**PARAMS, "head": "fpn"})
    progress.end(2, "stopped")
    table = rendered(progress)
    rows = [line for line in table.splitlines() if "resnet18" in line]
    assert len(rows) == 2
    assert "3/10" in rows[0]
    assert rows[0].count("0.2500") == 2
    assert "fpn resnet18" in rows[1]
    assert "my-study" in table
    assert "best 0.2500 (trial 1)" in table


def test_more_trials_than_fit_are_counted():
    progress = Progress(total=100, epochs=10)
    for number in range(SHOWN + 3):
        progress.start(number, PARAMS)
    assert "… and 3 more" in rendered(progress)


def on_a_terminal(progress, output, until):
    """What is left on a terminal after trial 1 trained for an epoch and `until` was called."""
    shown = screen(progress, output, terminal=True)
    with shown:
        progress.start(1, PARAMS)
        train(progress, 1, 1)
        shown.epoch(1)
        until()
    return output.getvalue()


def test_on_a_terminal_the_table_is_taken_down_at_the_end(progress, output):
    text = on_a_terminal(progress, output, lambda: progress.end(1, "completed"))
    assert "epoch 1/10" not in text  # no plain lines beside it
    assert text.endswith("\x1b[2K")  # the last thing is that the table's lines are erased


def test_where_somebody_stops_the_search_the_table_stays(progress, output):
    text = on_a_terminal(progress, output, lambda: None)
    assert not text.endswith("\x1b[2K")
    assert "0/4 trials ended" in text.splitlines()[-2]


def test_where_nothing_is_scored_no_score_is_spoken_of(clock, output):
    progress = Progress(total=2, epochs=9, kept=None, clock=clock)
    with screen(progress, output) as shown:
        progress.start(1, {**PARAMS, "epochs": 1})
        progress.epoch(1, {"epoch": 1, "train/loss": 0.5}, None)
        shown.epoch(1)
        progress.end(1, "completed")
        clock.now = 5.0
        shown.ended(1)
    assert output.getvalue().splitlines() == [
        "trial   1  epoch 1/1  loss 0.500  (unet resnet18 0.0012)",
        "trial   1  completed after 1 epoch",
        "1/2 trials ended (1 completed, 0 stopped, 0 failed); about 5 s left",
    ]


def test_where_the_last_epoch_is_kept_its_score_is_shown(clock, output):
    progress = Progress(total=1, epochs=2, kept="last", clock=clock)
    with screen(progress, output) as shown:
        progress.start(1, PARAMS)
        progress.epoch(1, record(1, 0.6), 0.6)
        progress.epoch(1, record(2, 0.5), 0.5)
        progress.end(1, "completed")
        shown.ended(1)
    assert "completed after 2 epochs, last mIoU 0.5000\n" in output.getvalue()
    assert "best" not in output.getvalue()


def cells(progress, width=120):
    table = rendered(progress, width).splitlines()
    return next(line for line in table if "/10" in line).split()


def test_the_live_table_has_the_curve_the_last_rung_the_time_left_and_the_vote(progress):
    progress.rungs, progress.vote = (1, 3, 9), 0.75
    progress.start(1, PARAMS)
    for epoch, miou in ((1, 0.1), (2, 0.3), (3, 0.2), (4, 0.8)):
        progress.epoch(1, {**record(epoch, miou), "epoch_s": 10.0}, miou)
    assert cells(progress)[:9] == ["1", "4/10", "–", "1.000", "0.8000", "0.8000", "▁▃▂█", "3", "60"]
    assert "best 0.8000 (trial 1); vote 0.7500; " in rendered(progress)


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_table_shows_the_epoch_in_progress(progress, width):
    progress.start(1, PARAMS)
    train(progress, 1, 1)
    progress.look({1: running(2, 12)}.get)
    assert cells(progress, width)[1:4] == ["1/10", "12/40", "0.750"]
    progress.look({1: running(2, 40)}.get)
    assert cells(progress, width)[2] == "scoring"
    assert max(map(len, rendered(progress, width).splitlines())) <= width
    assert "unet resnet18 0.0012" in rendered(progress, width)


def test_the_gpus_are_shown_below(progress, monkeypatch):
    monkeypatch.setattr("search.screen.screen.read_gpus", lambda: [Gpu(0, "H100", 0.5, 10, 80)])
    assert "GPU 0 (H100): 50 % busy, 10.0 of 80.0 GB" in rendered(progress)


def test_without_a_terminal_the_first_loss_is_said_and_then_a_line_where_nothing_else_was(progress, output, clock):
    with screen(progress, output) as shown:
        progress.start(1, PARAMS)
        progress.look({1: running(1, 0)}.get)
        shown.within_epochs()
        assert output.getvalue() == ""
        clock.now = 10.0
        progress.look({1: running(1, 10)}.get)
        shown.within_epochs()
        clock.now += LINE_EVERY_S - 1
        shown.within_epochs()
        clock.now += 1
        progress.look({1: running(1, 40, elapsed_s=60.0)}.get)
        shown.within_epochs()
    assert output.getvalue().splitlines() == [
        "trial   1  in epoch 1/10: step 10/40, loss 0.750, about 6 min left; about 26 min left for the study",
        "trial   1  in epoch 1/10: scoring, loss 0.750, about 9 min left; about 39 min left for the study",
    ]


def test_what_trials_wait_for_before_the_first_step_is_said_each_minute(progress, output, clock):
    with screen(progress, output) as shown:
        for seconds in (LINE_EVERY_S - 1, LINE_EVERY_S, LINE_EVERY_S + 1, 2 * LINE_EVERY_S):
            clock.now = seconds
            shown.within_epochs()
        progress.start(1, PARAMS)
        progress.start(2, PARAMS)
        clock.now = 3 * LINE_EVERY_S
        shown.within_epochs()
        progress.end(1, "failed")
        progress.end(2, "failed")
        clock.now = 4 * LINE_EVERY_S
        shown.within_epochs()
        progress.start(3, PARAMS)
        train(progress, 3, 1, miou=0.5)
        clock.now = 9 * LINE_EVERY_S
        shown.within_epochs()
    machines = "No trial is running: Ray is starting processes, or is waiting for machines that have room"
    loading = "2 trials have begun and not trained a step yet: libraries, weights and data are being loaded"
    assert output.getvalue().splitlines() == [machines, machines, loading, machines]


def test_the_live_table_says_that_no_trial_runs(progress):
    assert "No trial is running" in rendered(progress)
    progress.start(1, PARAMS)
    assert "No trial is running" not in rendered(progress)


def test_without_a_terminal_few_of_many_trials_are_told_of(progress, output):
    with screen(progress, output) as shown:
        for number in range(1, 6):
            progress.start(number, PARAMS)
        progress.look(lambda number: running(1, 10))
        shown.within_epochs()
    assert "; 2 more train" in output.getvalue()
    assert output.getvalue().count("step 10/40") == 3
