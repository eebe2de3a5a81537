"""Progress: what is known of a study's trials, and how long they still take."""

import pytest

from search.screen.progress import Progress
from tests.search.screen.made import PARAMS, record, running, train


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


def test_before_an_epoch_ends_its_steps_say_how_long_all_takes(progress, clock):
    """10 of 40 steps took 10 s: 40 s an epoch, of which the study has 40."""
    progress.start(1, PARAMS)
    clock.now = 10.0
    progress.look({1: running(1, 10)}.get)
    assert progress.trials[1].seconds_left(clock.now) == pytest.approx(10 * 40 - 10)
    assert progress.seconds_left() == pytest.approx((40 - 0.25) * 40)
    clock.now = 14.0
    assert progress.trials[1].seconds_left(clock.now) == pytest.approx(10 * 40 - 14)


def test_a_study_that_is_resumed_for_fewer_trials_than_it_has_takes_no_negative_time(clock):
    progress = Progress(total=1, epochs=10, clock=clock)
    for number in (1, 2, 3, 4):
        progress.start(number, PARAMS, epochs_done=3)
        progress.end(number, "paused")
    progress.start(4, PARAMS, epochs_done=1)
    clock.now = 5.0
    train(progress, 4, 2, start=1)
    assert progress.seconds_left() > 0


def test_before_the_first_step_nothing_is_promised(progress, clock):
    progress.start(1, PARAMS)
    progress.look({1: running(1, 0)}.get)
    clock.now = 9.0
    assert progress.trials[1].seconds_left(clock.now) is None
    assert progress.seconds_left() is None


def test_once_an_epoch_has_ended_its_length_counts_and_the_next_ones_begin(progress, clock):
    """Scoring is part of an epoch's length, which its steps do not say."""
    progress.start(1, PARAMS)
    progress.epoch(1, {**record(1, 0.5), "epoch_s": 60.0}, 0.5)
    clock.now = 5.0
    progress.look({1: running(2, 10, elapsed_s=4.0)}.get)
    clock.now = 7.0
    assert progress.trials[1].seconds_left(clock.now) == pytest.approx(9 * 60 - 4 - 2)


def test_what_was_written_of_an_epoch_that_has_ended_is_not_taken_for_the_next(progress):
    progress.start(1, PARAMS)
    progress.look({1: running(1, 39)}.get)
    train(progress, 1, 1)
    assert progress.trials[1].running is None
    progress.look({1: running(1, 39)}.get)
    assert progress.trials[1].running is None
    progress.look({1: running(2, 0)}.get)
    assert progress.trials[1].running.epoch == 2
