"""Where configurations come from: Optuna's TPE told the truth about stopped trials, or the points of a grid.

Both write each configuration to the study's ledger before Ray sees it, and on resume hand out again, under the same
number, what the ledger says has not ended.
"""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from trainables.files import write_json
from trainables.study_data import OBJECTIVE
from trainables.trial.files import TrialFiles

log = logging.getLogger(__name__)

MAX_BAD_SUGGESTIONS = 20  # in a row; then the space is taken to be broken for good


@dataclass(frozen=True)
class Suggestion:
    """`number` names the trial in this study; `sampled` is what Optuna drew, `params` what the space made of it."""

    number: int
    params: dict[str, Any]
    sampled: dict[str, Any]

    def save(self, files: TrialFiles) -> None:
        write_json(files.suggestion, {"params": self.params, "sampled": self.sampled})

    def with_weights_from(self, weights_dir: str | None) -> "Suggestion":
        """The same where a resumed study names another directory for what it starts from."""
        return replace(self, params=self.params | {"weights_dir": weights_dir}) if weights_dir else self

    @classmethod
    def load(cls, files: TrialFiles) -> "Suggestion":
        saved = files.read_suggestion()
        return cls(files.number, saved["params"], saved["sampled"])


def sampler_of(seed: int, number: int, attempt: int = 0, constant_liar: bool = False) -> TPESampler:
    """TPE for the suggestion of trial `number`, whose draws depend on nothing else.

    One generator for a whole study would begin again when it is resumed, and draw what the study drew at its start.
    A `constant_liar` counts running trials as bad ones, so that trials side by side are not all drawn alike.
    """
    drawn = np.random.SeedSequence((seed, number, attempt)).generate_state(1)
    return TPESampler(seed=int(drawn[0]), constant_liar=constant_liar)


class FairOptunaSearch(OptunaSearch):
    """OptunaSearch that tells the sampler how a trial ended: COMPLETE, PRUNED at its rung, or FAIL.

    Ray's own tells COMPLETE with the last value for a trial that ASHA stopped at epoch 2, which then competes with
    30-epoch scores, and leaves trials that reported NaN RUNNING for ever.
    `space` maps an Optuna trial to a plain configuration; `check` raises ValueError for an impossible one. `recipes`
    are tried first, in order: values of suggestions, of which those that one leaves open are drawn.
    """

    def __init__(
        self,
        space: Callable[[Any], dict[str, Any]],
        *,
        seed: int,
        epochs: int,
        trial_files: Callable[[int], TrialFiles],
        check: Callable[[dict[str, Any]], Any],
        constant_liar: bool,
        recipes: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(space=space, metric=OBJECTIVE, mode="max", sampler=sampler_of(seed, 1))
        self._seed, self._constant_liar = seed, constant_liar
        self._epochs, self._trial_files, self._check = epochs, trial_files, check
        self._recipes = list(recipes)
        self._unfinished: list[tuple[Suggestion, list[dict[str, Any]]]] = []
        self._next_number = 1
        self.bad_suggestions: list[str] = []
        self.closed = False
        """Set by who wants no further trial to be begun."""

    def replay(self, suggestion: Suggestion, records: list[dict[str, Any]], verdict: dict[str, Any] | None) -> None:
        """Tells the sampler of a trial of the ledger; one without a verdict is handed out again by `suggest`."""
        self._next_number = max(self._next_number, suggestion.number + 1)
        self._recipes = [recipe for recipe in self._recipes if not recipe.items() <= suggestion.sampled.items()]
        if verdict is None:
            self._unfinished.append((suggestion, records))
            return
        ot_trial = self._ask_again(suggestion, records)
        self._tell(ot_trial, records, failed=verdict["status"] == "failed")

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self.closed:
            return Searcher.FINISHED
        if self._unfinished:
            suggestion, records = self._unfinished.pop(0)
            self._ot_trials[trial_id] = self._ask_again(suggestion, records)
            return {"number": suggestion.number, "params": suggestion.params}
        for attempt in range(MAX_BAD_SUGGESTIONS):
            self._ot_study.sampler = sampler_of(self._seed, self._next_number, attempt, self._constant_liar)
            if self._recipes:
                self._ot_study.enqueue_trial(self._recipes.pop(0))
            ot_trial = self._ot_study.ask()
            try:
                params = self._space(ot_trial)
                self._check(params)
                json.dumps([params, ot_trial.params])  # as the ledger keeps them
            except Exception as error:  # a user's code: whatever it raises ends this suggestion, not the study
                self._ot_study.tell(ot_trial, state=TrialState.FAIL)
                self.bad_suggestions.append(f"{type(error).__name__}: {error}")
                continue
            return self._hand_out(trial_id, ot_trial, params)
        return Searcher.FINISHED

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a resumed study replays the ledger, which is never behind."""

    def _hand_out(self, trial_id: str, ot_trial: optuna.Trial, params: dict[str, Any]) -> dict[str, Any]:
        suggestion = Suggestion(self._next_number, params, ot_trial.params)
        suggestion.save(self._trial_files(suggestion.number))
        self._ot_trials[trial_id] = ot_trial
        self._next_number += 1
        return {"number": suggestion.number, "params": params}

    def _ask_again(self, suggestion: Suggestion, records: list[dict[str, Any]]) -> optuna.Trial:
        self._ot_study.enqueue_trial(suggestion.sampled)
        ot_trial = self._ot_study.ask()
        with suppress(Exception):  # a space that raises now and then may do so now
            self._space(ot_trial)  # registers the distributions with the sampler
        for record in records:
            self._report(ot_trial, record)
        return ot_trial

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._report(self._ot_trials[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        ot_trial = self._ot_trials.pop(trial_id)
        if result and not result.get("failure"):
            self._report(ot_trial, result)  # Tune tells the last result only here
        failed = error or not result or bool(result.get("failure"))
        values = self._ot_study.trials[ot_trial.number].intermediate_values
        self._tell(ot_trial, [{"epoch": epoch, OBJECTIVE: value} for epoch, value in values.items()], failed=failed)

    def _report(self, ot_trial: optuna.Trial, result: dict[str, Any]) -> None:
        if result["epoch"] not in self._ot_study.trials[ot_trial.number].intermediate_values:
            ot_trial.report(result[OBJECTIVE], result["epoch"])

    def _tell(self, ot_trial: optuna.Trial, records: list[dict[str, Any]], *, failed: bool) -> None:
        if failed or not records:
            self._ot_study.tell(ot_trial, state=TrialState.FAIL)
        elif max(record["epoch"] for record in records) < self._epochs:
            self._ot_study.tell(ot_trial, state=TrialState.PRUNED)
        else:
            self._ot_study.tell(ot_trial, max(record[OBJECTIVE] for record in records))


class GridSearch(Searcher):
    """Hands out the points of a grid in order; on resume, those that have not ended."""

    def __init__(self, points: list[dict[str, Any]], *, trial_files: Callable[[int], TrialFiles]) -> None:
        super().__init__()  # no metric: whatever its trials score, if anything, every point is trained
        self._waiting = [Suggestion(number, params, {}) for number, params in enumerate(points, start=1)]
        self._trial_files = trial_files
        self.bad_suggestions: list[str] = []
        self.closed = False

    def replay(self, suggestion: Suggestion, records: list[dict[str, Any]], verdict: dict[str, Any] | None) -> None:
        if verdict is not None:
            self._waiting = [waiting for waiting in self._waiting if waiting.number != suggestion.number]

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        if self.closed or not self._waiting:
            return Searcher.FINISHED
        suggestion = self._waiting.pop(0)
        suggestion.save(self._trial_files(suggestion.number))
        return {"number": suggestion.number, "params": suggestion.params}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger says what has ended."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger says what has ended."""
