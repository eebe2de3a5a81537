"""What Optuna knows of a trial after its epochs and its end."""

import pytest
from optuna.trial import TrialState

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
