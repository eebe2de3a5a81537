"""Progress and Screen: what is on screen while a study runs."""

import io

import pytest
from rich.console import Console

from search.report.progress import SHOWN_TRIALS, Progress, Screen, duration

PARAMS = {"head": "unet", "backbone": "resnet18", "lr": 0.00123, "batch_size": 8}


class Clock:
    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(total=4, epochs=10, clock=clock)


def record(epoch, miou, loss=1.0):
    return {"epoch": epoch, "holdout/miou": miou, "train/loss": loss}


def train(progress, number, last, miou=0.5, start=0):
    for epoch in range(start + 1, last + 1):
        progress.epoch(number, record(epoch, miou), miou)


def test_nothing_is_promised_before_the_first_epoch(progress):
    assert progress.seconds_left() is None
    progress.start(1, PARAMS)
    assert progress.seconds_left() is None


def test_time_left_goes_by_the_epochs_trained_so_far(progress, clock):
    progress.start(1, PARAMS)
    train(progress, 1, 4)
    clock.now = 20.0  # 5 s an epoch; six epochs of this trial and thirty of three others are left
    assert progress.seconds_left() == pytest.approx(36 * 5)


def test_the_time_budget_ends_the_wait(progress, clock):
    progress.budget_s = 100.0
    progress.start(1, PARAMS)
    train(progress, 1, 4)
    clock.now = 20.0
    assert progress.seconds_left() == 80.0
    clock.now = 130.0
    assert progress.seconds_left() == 0.0


def test_trials_to_come_are_expected_to_be_stopped_like_those_before(progress, clock):
    progress.start(1, PARAMS)
    train(progress, 1, 10)
    progress.end(1, "completed")
    progress.start(2, PARAMS)
    train(progress, 2, 2)
    progress.end(2, "stopped")
    clock.now = 24.0  # 2 s an epoch; two trials of (10 + 2) / 2 epochs are left
    assert progress.seconds_left() == pytest.approx(2 * 6 * 2)


def test_failed_trials_say_nothing_about_length(progress, clock):
    progress.start(1, PARAMS)
    train(progress, 1, 1)
    progress.end(1, "failed")
    clock.now = 3.0
    assert progress.seconds_left() == pytest.approx(3 * 10 * 3)


def test_a_trial_that_outlives_the_expectation_has_an_epoch_left_at_least(progress, clock):
    progress.start(1, PARAMS)
    train(progress, 1, 2)
    progress.end(1, "stopped")
    progress.start(2, PARAMS)
    train(progress, 2, 6)
    clock.now = 8.0
    assert progress.seconds_left() == pytest.approx((2 * 2 + 1) * 1.0)


def test_epochs_of_an_earlier_command_do_not_make_this_one_fast(progress, clock):
    progress.start(1, PARAMS, epochs_done=8, best=0.25)
    train(progress, 1, 9, start=8)
    clock.now = 7.0
    assert progress.epochs_trained == 1
    assert progress.seconds_left() == pytest.approx((1 + 30) * 7)


def test_at_the_end_no_time_is_left(clock):
    progress = Progress(total=1, epochs=2, clock=clock)
    progress.start(1, PARAMS)
    train(progress, 1, 2)
    progress.end(1, "completed")
    clock.now = 9.0
    assert progress.seconds_left() == 0.0


def test_the_clock_starts_once(progress, clock):
    progress.start(1, PARAMS)
    train(progress, 1, 10)
    progress.end(1, "completed")
    clock.now = 50.0
    progress.start(2, PARAMS)
    assert progress.seconds_left() == pytest.approx(30 * 5)


def test_trials_are_counted_by_how_they_ended(progress):
    for number, status in enumerate(["completed", "stopped", "failed", None], start=1):
        progress.start(number, PARAMS)
        if status:
            progress.end(number, status)
    assert [progress.count(one) for one in ("completed", "stopped", "failed", "running")] == [1, 1, 1, 1]
    assert progress.ended == 3


def test_the_best_is_of_any_epoch_the_first_of_equals_and_of_no_failed_trial(progress):
    assert progress.best is None
    for number, scores in enumerate([(0.2, 0.6, 0.4), (0.6, 0.1, 0.1), (0.9, 0.1, 0.1)], start=1):
        progress.start(number, PARAMS)
        for epoch, score in enumerate(scores, start=1):
            progress.epoch(number, record(epoch, score), max(scores[:epoch]))
    progress.end(3, "failed")
    assert (progress.best.number, progress.best.best, progress.best.miou) == (1, 0.6, 0.4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (600, "10 min"),
        (3600, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (47.5 * 3600, "47 h 30 min"),
        (4 * 86400, "4 days"),
    ],
)
def test_durations_are_as_exact_as_an_estimate_deserves(seconds, text):
    assert duration(seconds) == text


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


def rendered(progress):
    console = Console(file=io.StringIO(), width=120)
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
    for number in range(SHOWN_TRIALS + 3):
        progress.start(number, PARAMS)
    assert "… and 3 more running" in rendered(progress)


def test_on_a_terminal_the_table_is_taken_down_at_the_end(progress, output):
    shown = screen(progress, output, terminal=True)
    with shown:
        progress.start(1, PARAMS)
        shown.epoch(1)
    assert shown._live is None
    assert "epoch 0/10" not in output.getvalue()  # no plain lines beside it


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
        "trial   1  completed after 1 epochs",
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


def test_the_live_table_has_the_curve_the_last_rung_the_time_left_and_the_vote(progress):
    progress.rungs, progress.vote = (1, 3, 9), 0.75
    progress.start(1, PARAMS)
    for epoch, miou in ((1, 0.1), (2, 0.3), (3, 0.2), (4, 0.8)):
        progress.epoch(1, {**record(epoch, miou), "epoch_s": 10.0}, miou)
    row = next(line for line in rendered(progress).splitlines() if "resnet18" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:5] == ["1", "4/10", "3", "0.8000", "▁▃▂█"]
    assert cells[7] == "60 s"
    assert "best 0.8000 (trial 1); vote 0.7500; " in rendered(progress)
