"""What Optuna is told of a trial: its scores, and whether it was completed, paused, stopped early or failed.

A trial that early stopping ended counts as PRUNED at its last epoch, and TPE compares it with others by the epoch that
it reached. Ray's own OptunaSearch tells COMPLETE with the last value instead, so that a score after 2 epochs competes
with scores after 30, and it leaves trials that reported NaN RUNNING for ever.
"""

import copy
from collections.abc import Container
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from trainables.study_data import OBJECTIVE


class TrialStorage(InMemoryStorage):
    """Optuna's trials of one study. One that is running or paused counts as PRUNED after its first epoch.

    TPE learns nothing from trials that Optuna knows as running, and a constant liar takes them for bad ones. The best
    trials run the longest, since they are promoted, and would be learnt from last. Optuna knows no pause either.
    """

    def __init__(self) -> None:
        super().__init__()
        self._as_pruned: dict[int, tuple[FrozenTrial, FrozenTrial]] = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if states == (TrialState.WAITING,):  # which the base class finds without looking at all trials
            return super().get_all_trials(study_id, deepcopy, states)
        trials = [self._seen(trial) for trial in super().get_all_trials(study_id, deepcopy=False)]
        found = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def _seen(self, trial: FrozenTrial) -> FrozenTrial:
        """Return the trial as Optuna shall see it.

        Copies are kept, since TPE asks for all trials several times for each suggestion. Optuna puts another object in
        the place of a trial that changes, so that an old copy is known by its original.
        """
        if trial.state is not TrialState.RUNNING or not trial.intermediate_values:
            return trial
        original, pruned = self._as_pruned.get(trial.number, (None, None))
        if original is not trial:
            pruned = copy.copy(trial)
            pruned.state = TrialState.PRUNED
            self._as_pruned[trial.number] = trial, pruned
        return pruned


def report_epoch(study: optuna.Study, trial: optuna.Trial, result: dict[str, Any]) -> None:
    """Tell Optuna the score of an epoch, once: a retry repeats an epoch, and Ray Tune repeats the last one."""
    if result["epoch"] not in _scores(study, trial):
        trial.report(result[OBJECTIVE], result["epoch"])


def tell_end(study: optuna.Study, trial: optuna.Trial, *, epochs: int, failed: bool) -> None:
    """Tell Optuna how a trial ended that was to train for `epochs`.

    A completed trial is worth its best score. One that failed, or has no score, is not learnt from.
    """
    scores = _scores(study, trial)
    if failed or not scores:
        study.tell(trial, state=TrialState.FAIL)
    elif max(scores) < epochs:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, max(scores.values()))


def _scores(study: optuna.Study, trial: optuna.Trial) -> dict[int, float]:
    """Return the scores that Optuna knows of the trial, by epoch."""
    return study.get_trials(deepcopy=False)[trial.number].intermediate_values
