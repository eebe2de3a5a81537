"""ASHA's decisions at its rungs, and what a resumed study knows of them."""

from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from search.tuning.schedulers.asha import Asha
from search.tuning.schedulers.ladder import Ladder, Run
from search.tuning.schedulers.rungs import default_grace_period, rungs
from search.tuning.schedulers.scheduler import Scheduler
from trainables.study_data import OBJECTIVE

GO, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


def asha(**changes):
    how = {"epochs": 9, "grace_period": 1, "reduction_factor": 3.0, "brackets": 1, "seed": 0}
    return Asha(Ladder(**{**how, **changes}))


def added(scheduler, number, name=None):
    trial = SimpleNamespace(trial_id=name or f"trial-{number}", config={"number": number})
    scheduler.on_trial_add(None, trial)
    return trial


def decision(scheduler, trial, epoch, miou):
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, OBJECTIVE: miou})


def decisions(scheduler, epoch, scores, first=1):
    """Of trials that come to one epoch after another, each with its score."""
    return [
        decision(scheduler, added(scheduler, number), epoch, score) for number, score in enumerate(scores, start=first)
    ]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.1], [GO]),  # the first trial is not stopped
        ([0.0], [GO]),
        ([0.2, 0.1], [GO, STOP]),
        ([0.1, 0.2], [GO, GO]),
        ([0.2, 0.2], [GO, GO]),  # ties go on
        ([0.3, 0.2, 0.1, 0.23, 0.25], [GO, STOP, STOP, STOP, GO]),  # cutoffs: -, 0.3, 0.267, 0.233, 0.23
        ([0.1, 0.2, 0.3, 0.2, 0.27], [GO, GO, GO, STOP, GO]),  # cutoffs: -, 0.1, 0.167, 0.233, 0.2
    ],
)
def test_who_is_among_the_best_third_so_far_goes_on(scores, expected):
    assert decisions(asha(), 1, scores) == expected


@pytest.mark.parametrize(("epoch", "compared"), [(1, True), (2, False), (3, True), (4, False), (8, False)])
def test_trials_are_compared_at_rungs_alone(epoch, compared):
    scheduler = asha()
    good, fading = added(scheduler, 1), added(scheduler, 2)
    for earlier in range(1, epoch):
        assert [decision(scheduler, one, earlier, 0.5) for one in (good, fading)] == [GO, GO]
    decision(scheduler, good, epoch, 0.5)
    assert decision(scheduler, fading, epoch, 0.1) == (STOP if compared else GO)


def test_a_rung_has_its_own_scores():
    scheduler = asha()
    slow, fast = added(scheduler, 1), added(scheduler, 2)
    assert [decision(scheduler, slow, epoch, epoch / 10) for epoch in (1, 2, 3)] == [GO, GO, GO]
    assert decision(scheduler, fast, 1, 0.15) == GO  # less than 0.3 at epoch 3, more than 0.1 at epoch 1
    assert decision(scheduler, fast, 3, 0.29) == STOP


def test_the_last_epoch_ends_a_trial():
    scheduler = asha()
    trial = added(scheduler, 1)
    assert [decision(scheduler, trial, epoch, 0.5) for epoch in range(1, 10)] == [GO] * 8 + [STOP]


def test_no_trial_is_stopped_in_its_grace_period():
    scheduler = asha(grace_period=4)
    decisions(scheduler, 3, [0.9])
    assert decision(scheduler, added(scheduler, 2), 3, 0.0) == GO


def test_a_failed_trials_worst_value_is_no_score_to_be_compared_with():
    scheduler = asha()
    failed = added(scheduler, 1)
    scheduler.on_trial_complete(None, failed, {"epoch": 1, OBJECTIVE: 0.0, "failure": "NonFiniteError: nan"})
    assert [rung.scores for rung in scheduler._ladder.brackets[0]] == [{}, {}, {}]


def test_a_completed_trials_score_is():
    scheduler = asha()
    done = added(scheduler, 1)
    scheduler.on_trial_complete(None, done, {"epoch": 1, OBJECTIVE: 0.5})
    assert decisions(scheduler, 1, [0.4], first=2) == [STOP]


def test_replayed_trials_are_compared_with():
    scheduler = asha()
    scheduler.replay([Run(1, [{"epoch": epoch, OBJECTIVE: epoch / 10} for epoch in (1, 2, 3)])])
    assert decisions(scheduler, 1, [0.05], first=2) == [STOP]
    assert decisions(scheduler, 1, [0.15], first=3) == [GO]
    late = added(scheduler, 4)
    decision(scheduler, late, 1, 0.2)
    assert decision(scheduler, late, 3, 0.25) == STOP


def test_a_replayed_study_decides_as_the_unbroken_one():
    curves = {1: [0.1, 0.2, 0.3], 2: [0.2], 3: [0.3, 0.4, 0.45, 0.5], 4: [0.05]}
    unbroken, resumed = asha(brackets=2), asha(brackets=2)
    for number, curve in curves.items():
        trial = added(unbroken, number)
        records = [{"epoch": epoch, OBJECTIVE: score} for epoch, score in enumerate(curve, start=1)]
        for record in records:
            unbroken.on_trial_result(None, trial, record)
        resumed.replay([Run(number, records)])
    for epoch, score in ((1, 0.15), (1, 0.28), (3, 0.35), (3, 0.44)):
        number = epoch * 100 + int(score * 100)
        assert decision(resumed, added(resumed, number), epoch, score) == decision(
            unbroken, added(unbroken, number), epoch, score
        )


def test_a_trial_that_goes_on_is_in_each_rung_once_with_that_rungs_score():
    """Replayed up to epoch 3 and then resumed: its score of epoch 4 must not enter the rung of epoch 1."""
    scheduler = asha()
    scheduler.replay([Run(1, [{"epoch": epoch, OBJECTIVE: epoch / 10} for epoch in (1, 2, 3)])])
    resumed = added(scheduler, 1, name="another id")
    for epoch in (4, 5, 6):
        assert decision(scheduler, resumed, epoch, epoch / 10) == GO
    recorded = {rung.epoch: list(rung.scores.values()) for rung in scheduler._ladder.brackets[0]}
    assert recorded == {9: [], 3: [0.3], 1: [0.1]}


def records(*scores, times=None):
    times = times or range(1, len(scores) + 1)
    return [
        {"epoch": n, OBJECTIVE: score, "time": float(time)} for n, (score, time) in enumerate(zip(scores, times), 1)
    ]


def test_a_trial_that_was_stopped_at_its_last_epoch_is_stopped_again():
    """The driver may have died between the ledger's line and the verdict."""
    assert asha().replay([Run(1, records(0.2, 0.3, times=[1, 2])), Run(2, records(0.1, times=[3]))]) == {2}
    assert asha().replay([Run(1, records(0.2, 0.3, times=[1, 2])), Run(2, records(0.3, times=[3]))]) == set()


def test_decisions_are_taken_again_in_the_order_of_the_epochs_ends():
    """Trial 2 was at its rung before trial 1, whose number is smaller."""
    early, late = records(0.1, 0.2, times=[1, 4]), records(0.3, times=[2])
    assert asha().replay([Run(1, late), Run(2, early)]) == set()
    assert asha().replay([Run(1, early), Run(2, late)]) == set()
    assert asha().replay([Run(1, records(0.3, times=[1])), Run(2, records(0.1, times=[2]))]) == {2}


def test_a_clock_that_was_set_back_within_a_trial_does_not_change_the_order_of_its_epochs():
    """Trial 2 was stopped at its second epoch, which ended before its first by the clock."""
    before = Run(1, records(0.5, 0.6, times=[1, 2]))
    assert asha(grace_period=2).replay([before, Run(2, records(0.4, 0.1, times=[9, 5]))]) == {2}
    scheduler = asha()
    scheduler.replay([Run(1, records(0.1, 0.2, 0.3, times=[9, 8, 7]))])
    assert [(rung.epoch, rung.scores) for rung in scheduler._ladder.brackets[0]] == [
        (1, {1: 0.1}),
        (3, {1: 0.3}),
        (9, {}),
    ]


def test_who_went_on_after_a_rung_or_came_to_the_end_was_not_stopped():
    before = Run(1, records(0.5, times=[1]))
    assert asha().replay([before, Run(2, records(0.1, 0.2, times=[2, 3]))]) == set()
    assert asha(epochs=1).replay([before, Run(2, records(0.1, times=[2]))]) == set()


def test_decisions_are_those_of_rays_scheduler():
    draw = np.random.default_rng(0)
    for reduction_factor, grace_period in ((3.0, 1), (2.5, 2), (4.0, 3)):
        how = {"grace_period": grace_period, "reduction_factor": reduction_factor}
        ours = asha(epochs=30, **how)
        rays = AsyncHyperBandScheduler(time_attr="epoch", metric=OBJECTIVE, mode="max", max_t=30, **how)
        for number in range(1, 40):
            trial = added(ours, number)
            rays.on_trial_add(None, trial)
            for epoch in range(1, 31):
                result = {"epoch": epoch, OBJECTIVE: float(draw.random())}
                ours_said, rays_said = (one.on_trial_result(None, trial, result) for one in (ours, rays))
                assert ours_said == rays_said, (reduction_factor, number, epoch)
                if ours_said == STOP:
                    for one in (ours, rays):
                        one.on_trial_complete(None, trial, result)
                    break


def test_brackets_are_drawn_from_seed_and_number():
    ladders = [Ladder(epochs=9, grace_period=1, reduction_factor=3.0, brackets=3, seed=seed) for seed in (0, 0, 1)]
    drawn = [[ladder.bracket(number)[0].epoch for number in range(200)] for ladder in ladders]
    assert drawn[0] == drawn[1] != drawn[2]
    counts = [drawn[0].count(first) for first in (1, 3, 9)]  # the first rung of each bracket
    assert sum(counts) == 200
    assert counts[0] > counts[1] > counts[2] > 0


def test_a_grid_stops_nobody_before_the_end():
    """The trial itself says when it is done; what it scores, if anything, does not matter."""
    scheduler = Scheduler()
    assert scheduler.replay([Run(1, [{"epoch": 1}])]) == set()
    bad = added(scheduler, 2)
    assert [scheduler.on_trial_result(None, bad, {"epoch": epoch}) for epoch in range(1, 10)] == [GO] * 9


RUNGS = [
    # epochs, grace, factor, rungs below the last epoch
    (9, 1, 3.0, [1, 3]),
    (10, 1, 3.0, [1, 3, 9]),
    (30, 3, 3.0, [3, 9, 27]),
    (30, 2, 4.0, [2, 8]),
    (20, 1, 2.5, [1, 3, 7, 16]),  # 1, 2.5, 6.25, 15.625
    (2, 1, 3.0, [1]),
    (1, 1, 3.0, [1]),
    (3, 3, 3.0, [3]),
    (12, 1, 1.25, [1, 2, 3, 4, 5, 6, 8, 10]),  # 1.25, 1.56 and 1.95 are all before epoch 2
]


@pytest.mark.parametrize(("epochs", "grace_period", "factor", "expected"), RUNGS)
def test_rungs_are_powers_of_the_factor(epochs, grace_period, factor, expected):
    assert rungs(epochs, grace_period, factor) == expected


@pytest.mark.parametrize(("epochs", "grace_period", "factor", "expected"), RUNGS)
def test_rungs_are_where_ray_compares(epochs, grace_period, factor, expected):
    scheduler = asha(epochs=epochs, grace_period=grace_period, reduction_factor=factor)
    good, bad = added(scheduler, 1), added(scheduler, 2)
    compared = []
    for epoch in range(1, epochs):
        decision(scheduler, good, epoch, 0.5)
        if decision(scheduler, bad, epoch, 0.1) == STOP:
            compared.append(epoch)
    assert compared == [rung for rung in expected if rung < epochs]


@pytest.mark.parametrize(
    ("epochs", "factor", "stop", "promote"),
    [(9, 3.0, 1, 1), (30, 3.0, 3, 1), (2, 3.0, 1, 1), (30, 4.0, 1, 1), (100, 2.0, 25, 12), (1, 3.0, 1, 1)],
)
def test_the_grace_period_leaves_room_for_two_rungs_or_three(epochs, factor, stop, promote):
    assert default_grace_period(epochs, factor, "stop") == stop
    assert default_grace_period(epochs, factor, "promote") == promote
