"""Promotion at rungs: who is paused, who goes on when a slot is free, and what a resumed study knows of it."""

from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from search.tuning.schedulers.ladder import Ladder, Run
from search.tuning.schedulers.promotion import Promotion
from trainables.study_data import OBJECTIVE

GO, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


def promotion(**changes):
    """Rungs at the epochs 1 and 3 of 9, unless told otherwise."""
    how = {"epochs": 9, "grace_period": 1, "reduction_factor": 3.0, "brackets": 1, "seed": 0}
    return Promotion(Ladder(**{**how, **changes}))


def decision(scheduler, number, epoch, miou):
    trial = SimpleNamespace(config={"number": number})
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, OBJECTIVE: miou})


def records(*scores):
    return [{"epoch": epoch, OBJECTIVE: score} for epoch, score in enumerate(scores, start=1)]


def test_trials_pause_at_a_rung_until_there_are_enough_to_promote_one():
    scheduler = promotion()
    assert [decision(scheduler, 1, 1, 0.3), decision(scheduler, 2, 1, 0.2)] == [STOP, STOP]
    assert (scheduler.paused, scheduler.next_promotion()) == ({1, 2}, None)
    assert decision(scheduler, 3, 1, 0.1) == STOP
    assert scheduler.next_promotion() == 1


def test_who_is_promoted_at_once_goes_on_in_its_own_process():
    scheduler = promotion()
    assert [decision(scheduler, 1, 1, 0.1), decision(scheduler, 2, 1, 0.2), decision(scheduler, 3, 1, 0.3)] == [
        STOP,
        STOP,
        GO,
    ]
    assert (scheduler.paused, scheduler.next_promotion()) == ({1, 2}, None)
    assert decision(scheduler, 3, 2, 0.1) == GO, "there is no rung at epoch 2"


def test_a_third_of_a_rung_is_promoted_the_best_first():
    scheduler = promotion()
    for number in range(1, 7):
        if decision(scheduler, number, 1, 1 - number / 10) == GO:
            pytest.fail("a trial was promoted that is worse than others")
    promoted = []
    while (number := scheduler.next_promotion()) is not None:
        scheduler.promote(number)
        promoted.append(number)
    assert promoted == [1, 2]


def test_later_rungs_come_first():
    scheduler = promotion()
    for number in (1, 2, 3):
        scheduler.replay([Run(number, records(0.5, 0.5, number / 10))])
    for number in (4, 5, 6, 7, 8, 9):
        scheduler.replay([Run(number, records(0.9))])
    assert scheduler.next_promotion() == 3, "the best at epoch 3 comes before those at epoch 1"
    scheduler.promote(3)
    assert scheduler.next_promotion() in {4, 5, 6, 7, 8, 9}


def test_the_next_promotion_stays_the_same_until_it_is_promoted():
    scheduler = promotion()
    for number in (1, 2, 3):
        decision(scheduler, number, 1, 1 - number / 10)
    assert [scheduler.next_promotion(), scheduler.next_promotion()] == [1, 1]
    scheduler.promote(1)
    assert scheduler.next_promotion() is None


def test_the_last_epoch_ends_a_trial_and_pauses_nobody():
    scheduler = promotion(epochs=3)
    scheduler.replay([Run(1, records(0.1, 0.2))])
    assert decision(scheduler, 1, 3, 0.3) == STOP
    assert 1 not in scheduler.paused


def test_a_failed_trial_is_not_paused():
    scheduler = promotion()
    trial = SimpleNamespace(config={"number": 1})
    assert scheduler.on_trial_result(None, trial, {"epoch": 1, OBJECTIVE: 0.0, "failure": "nan"}) == GO
    assert scheduler.paused == set()


@pytest.mark.parametrize(
    ("run", "paused"),
    [
        (Run(1, records(0.1)), True),
        (Run(1, records(0.1, 0.2)), False),  # it was between two rungs when the driver was killed
        (Run(1, records(0.1, 0.2, 0.3)), True),
        (Run(1, records(0.1, 0.2, 0.3), ended=True), False),
        (Run(1, []), False),
        (Run(1, records(*[0.1] * 9)), False),  # its verdict is missing, but it has all its epochs
    ],
)
def test_a_resumed_study_knows_who_is_paused(run, paused):
    scheduler = promotion()
    assert scheduler.replay([run]) == set(), "no trial is stopped for good by being paused"
    assert (1 in scheduler.paused) is paused


def test_a_resumed_study_promotes_as_the_unbroken_one():
    curves = {1: [0.1, 0.2, 0.3], 2: [0.2], 3: [0.3, 0.4], 4: [0.05], 5: [0.4, 0.5, 0.6], 6: [0.39, 0.4], 7: [0.38]}
    unbroken, resumed = promotion(), promotion()
    for number, curve in curves.items():
        for epoch, score in enumerate(curve, start=1):
            decision(unbroken, number, epoch, score)
            if epoch < len(curve):
                unbroken.promote(number)
    resumed.replay([Run(number, records(*curve)) for number, curve in curves.items()])
    assert resumed.paused == unbroken.paused
    assert resumed.next_promotion() == unbroken.next_promotion()
    assert decision(resumed, 8, 1, 0.45) == decision(unbroken, 8, 1, 0.45)


def test_brackets_promote_apart():
    scheduler = promotion(brackets=2)
    first = [number for number in range(60) if scheduler._ladder.bracket(number)[0].epoch == 1]
    later = [number for number in range(60) if scheduler._ladder.bracket(number)[0].epoch == 3]
    scheduler.replay([Run(number, records(0.1, 0.1, 0.9 - number / 100)) for number in later[:3]])
    scheduler.replay([Run(number, records(0.5)) for number in first[:2]])
    assert scheduler.next_promotion() == later[0]


def test_when_no_new_trial_is_left_the_best_of_few_trials_come_to_their_end():
    """Of four trials at the first rung two go on, and of these two one: a third of them, rounded up."""
    scheduler = promotion()
    for number in (1, 2, 3, 4):
        scheduler.replay([Run(number, records(1 - number / 10))])
    scheduler.promote(1)
    assert scheduler.next_promotion() is None
    scheduler.no_new_trials = True
    assert scheduler.next_promotion() == 2
    scheduler.promote(2)
    assert scheduler.next_promotion() is None, "no trial has come to the next rung yet"
    assert decision(scheduler, 2, 3, 0.95) == GO, "it is the only one there"
    assert decision(scheduler, 1, 3, 0.9) == STOP
    assert scheduler.next_promotion() is None
