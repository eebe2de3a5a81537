"""What Optuna knows of a trial after its epochs and its end."""

import pytest
from optuna.trial import TrialState

from search.tuning.schedulers.ladder import Ladder, Run
from search.tuning.schedulers.promotion import Promotion
from tests.search.tuning.searchers.made import EPOCHS, result, told


def test_a_trial_stopped_at_a_rung_is_pruned_there(searcher):
    ours = searcher()
    ours.suggest("a")
    ours.on_trial_result("a", result(1, 0.25))
    ours.on_trial_complete("a", result(2, 0.5))  # Tune tells the last one only here
    # Optuna takes the last intermediate value for a pruned trial's; its sampler goes by the step.
    assert told(ours) == [(TrialState.PRUNED, 0.5, {1: 0.25, 2: 0.5})]


def test_a_finished_trial_is_complete_with_its_best(searcher):
    ours = searcher()
    ours.suggest("a")
    scores = {epoch: 0.75 if epoch == 4 else epoch / 20 for epoch in range(1, EPOCHS + 1)}
    for epoch in range(1, EPOCHS):
        ours.on_trial_result("a", result(epoch, scores[epoch]))
    ours.on_trial_complete("a", result(EPOCHS, scores[EPOCHS]))
    assert told(ours) == [(TrialState.COMPLETE, 0.75, scores)]


def test_a_result_told_twice_counts_once(searcher):
    """After a retry, and because Tune repeats the last one."""
    ours = searcher()
    ours.suggest("a")
    for epoch, miou in ((1, 0.25), (2, 0.5), (2, 0.5)):
        ours.on_trial_result("a", result(epoch, miou))
    ours.on_trial_complete("a", result(2, 0.5))
    assert told(ours)[0][2] == {1: 0.25, 2: 0.5}


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (result(1, 0.0, failure="NonFiniteError: nan", done=True), False),
        (result(EPOCHS, 0.0, failure="UserError: no such head", done=True), False),
        (result(1, 0.25), True),
        (None, True),
        (None, False),
    ],
)
def test_a_failed_trial_has_failed(searcher, last, error):
    ours = searcher()
    ours.suggest("a")
    ours.on_trial_result("a", result(1, 0.25))
    ours.on_trial_complete("a", last, error=error)
    assert told(ours) == [(TrialState.FAIL, None, {1: 0.25})]


def test_no_trial_is_left_running(searcher):
    ours = searcher()
    for number, last in enumerate([result(2, 0.1), result(EPOCHS, 0.5), result(0, 0.0, failure="nan"), None]):
        ours.suggest(str(number))
        ours.on_trial_complete(str(number), last)
    states = [trial.state for trial in ours.study.trials]
    assert states == [TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    assert ours._running == {}


def test_a_running_trial_counts_from_its_first_epoch_on(searcher):
    """Else a constant liar would take the best trials for bad ones as long as they are trained."""
    ours = searcher()
    ours.suggest("a")
    assert told(ours) == [(TrialState.RUNNING, None, {})]
    for epoch, miou in ((1, 0.25), (2, 0.5)):
        ours.on_trial_result("a", result(epoch, miou))
        assert told(ours)[0][:2] == (TrialState.PRUNED, None)
    assert told(ours)[0][2] == {1: 0.25, 2: 0.5}
    ours.on_trial_complete("a", result(3, 0.0, failure="NonFiniteError: nan", done=True))
    assert told(ours)[0][0] == TrialState.FAIL


def test_a_paused_trial_counts_as_pruned_and_a_promoted_one_by_what_it_scores_later(searcher):
    scheduler = Promotion(Ladder(epochs=EPOCHS, grace_period=1, reduction_factor=3.0, brackets=1, seed=0))
    ours = searcher(promotion=scheduler)
    ours.suggest("a")
    scheduler.replay([Run(1, [result(1, 0.25)])])
    ours.on_trial_complete("a", result(1, 0.25))
    assert told(ours) == [(TrialState.PRUNED, None, {1: 0.25})]
    scheduler.replay([Run(number, [result(1, 0.1)], ended=True) for number in (90, 91)])  # trial 1 is the best of three
    assert ours.suggest("b")["number"] == 1
    ours.on_trial_result("b", result(2, 0.5))
    assert told(ours) == [(TrialState.PRUNED, None, {1: 0.25, 2: 0.5})]
    for epoch in range(3, EPOCHS):
        ours.on_trial_result("b", result(epoch, 0.5))
    ours.on_trial_complete("b", result(EPOCHS, 0.75))
    ((state, value, scores),) = told(ours)
    assert (state, value, len(scores)) == (TrialState.COMPLETE, 0.75, EPOCHS)


def test_tpe_learns_from_paused_trials(searcher):
    """What it draws depends on them as it does on stopped ones."""
    drawn = []
    for promotes in (True, False):
        scheduler = Promotion(Ladder(epochs=EPOCHS, grace_period=1, reduction_factor=3.0, brackets=1, seed=0))
        ours = searcher(promotion=scheduler if promotes else None)
        for number in range(1, 15):
            ours.suggest(str(number))
            if promotes:
                scheduler.paused.add(number)
            ours.on_trial_complete(str(number), result(1, number / 100))
        drawn.append(ours.suggest("x")["params"])
    assert drawn[0] == drawn[1]
