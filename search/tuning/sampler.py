"""Where configurations come from: Optuna's TPE told the truth about stopped trials, or the points of a grid.

Both write each configuration to the study's ledger before Ray sees it, and on resume hand out again, under the same
number, what the ledger says has not ended.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import NopPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from ray.tune.search import Searcher

from trainables.files import write_json
from trainables.study_data import OBJECTIVE
from trainables.trial.files import TrialFiles, Verdict

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
        """Return the same, where a resumed study names another directory for the weights that trials start from."""
        return replace(self, params=self.params | {"weights_dir": weights_dir}) if weights_dir else self

    @classmethod
    def load(cls, files: TrialFiles) -> "Suggestion":
        saved = files.read_suggestion()
        return cls(files.number, saved["params"], saved["sampled"])


def sampler_of(seed: int, number: int, attempt: int = 0, constant_liar: bool = False) -> TPESampler:
    """Return TPE for the suggestion of trial `number`, whose draws depend on nothing else.

    One generator for a whole study would begin again when it is resumed, and draw what the study drew at its start.
    It is multivariate (Falkner et al., BOHB, ICML 2018), with a group for each set of suggestions that occur together,
    such as the rate of one optimizer: Optuna's defaults differ between versions. A `constant_liar` counts running
    trials as bad ones, so that trials side by side are not all drawn alike.
    """
    drawn = np.random.SeedSequence((seed, number, attempt)).generate_state(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=int(drawn[0]), multivariate=True, group=True, constant_liar=constant_liar)


class TPESearch(Searcher):
    """Optuna's TPE for Ray Tune, told how each trial ended: COMPLETE, PRUNED at its rung, or FAIL.

    Ray's own OptunaSearch tells COMPLETE with the last value for a trial that ASHA stopped at epoch 2, which then
    competes with 30-epoch scores, and leaves trials that reported NaN RUNNING for ever.
    """

    def __init__(
        self,
        space: Callable[[Any], dict[str, Any]],
        *,
        seed: int,
        epochs: int,
        check: Callable[[dict[str, Any]], Any],
        constant_liar: bool,
        recipes: Sequence[dict[str, Any]] = (),
        trial_files: Callable[[int], TrialFiles] | None = None,
    ) -> None:
        """
        Args:
            space: Maps an Optuna trial to a plain configuration.
            seed: Of all suggestions.
            epochs: Of a trial that is not stopped.
            check: Raises ValueError for a configuration that cannot be trained.
            constant_liar: Whether trials run side by side.
            recipes: Values of suggestions to try first, in order; those that one leaves open are drawn.
            trial_files: The ledger that suggestions are written to; None where they are only shown.
        """
        super().__init__()  # no metric: Tune would look for it in results that have none
        self.study = optuna.create_study(direction="maximize", pruner=NopPruner())
        self._space, self._check, self._recipes = space, check, list(recipes)
        self._seed, self._epochs, self._constant_liar = seed, epochs, constant_liar
        self._trial_files = trial_files
        self._running: dict[str, optuna.Trial] = {}
        self._unfinished: list[tuple[Suggestion, list[dict[str, Any]]]] = []
        self._next_number = 1
        self.bad_suggestions: list[str] = []
        self.closed = False
        """Set by who wants no further trial to be begun."""

    def replay(self, suggestion: Suggestion, records: list[dict[str, Any]], verdict: Verdict | None) -> None:
        """Tell the sampler of a trial of the ledger; one without a verdict is handed out again by `suggest`."""
        self._next_number = max(self._next_number, suggestion.number + 1)
        self._recipes = [recipe for recipe in self._recipes if not recipe.items() <= suggestion.sampled.items()]
        if verdict is None:
            self._unfinished.append((suggestion, records))
        else:
            self._tell(self._ask_again(suggestion, records), failed=verdict["status"] == "failed")

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        if self.closed:
            return Searcher.FINISHED
        if self._unfinished:
            suggestion, records = self._unfinished.pop(0)
            self._running[trial_id] = self._ask_again(suggestion, records)
            return {"number": suggestion.number, "params": suggestion.params}
        found = self._draw()
        if found is None:
            return Searcher.FINISHED
        trial, params = found
        suggestion = Suggestion(self._next_number, params, trial.params)
        self._next_number += 1
        if self._trial_files:
            suggestion.save(self._trial_files(suggestion.number))
        self._running[trial_id] = trial
        return {"number": suggestion.number, "params": params}

    def _draw(self) -> tuple[optuna.Trial, dict[str, Any]] | None:
        """Return Optuna's next trial and its configuration; None where the space makes none that can be trained."""
        for attempt in range(MAX_BAD_SUGGESTIONS):
            self.study.sampler = sampler_of(self._seed, self._next_number, attempt, self._constant_liar)
            if self._recipes:
                self.study.enqueue_trial(self._recipes.pop(0))
            trial = self.study.ask()
            try:
                params = self._space(trial)
                self._check(params)
                json.dumps([params, trial.params])  # as the ledger keeps them
                return trial, params
            except Exception as error:  # a user's code: whatever it raises ends this suggestion, not the study
                self.study.tell(trial, state=TrialState.FAIL)
                self.bad_suggestions.append(f"{type(error).__name__}: {error}")
        return None

    def _ask_again(self, suggestion: Suggestion, records: list[dict[str, Any]]) -> optuna.Trial:
        self.study.enqueue_trial(suggestion.sampled)
        trial = self.study.ask()
        with suppress(Exception):  # a space that raises now and then may do so now
            self._space(trial)  # registers the distributions with the sampler
        for record in records:
            self._report(trial, record)
        return trial

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if not result.get("failure"):
            self._report(self._running[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial = self._running.pop(trial_id)
        failed = error or not result or bool(result.get("failure"))
        if not failed:
            self._report(trial, result)  # Tune tells the last result only here
        self._tell(trial, failed=failed)

    def _report(self, trial: optuna.Trial, result: dict[str, Any]) -> None:
        """Tell an epoch's score once: a retry repeats it, and Tune repeats the last one."""
        if result["epoch"] not in self._scores(trial):
            trial.report(result[OBJECTIVE], result["epoch"])

    def _tell(self, trial: optuna.Trial, *, failed: bool) -> None:
        scores = self._scores(trial)
        if failed or not scores:
            self.study.tell(trial, state=TrialState.FAIL)
        elif max(scores) < self._epochs:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, max(scores.values()))

    def _scores(self, trial: optuna.Trial) -> dict[int, float]:
        return self.study.get_trials(deepcopy=False)[trial.number].intermediate_values

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a resumed study replays the ledger, which is never behind."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: a resumed study replays the ledger."""


class GridSearch(Searcher):
    """Hands out the points of a grid in order; when a study is resumed, those that have not ended."""

    def __init__(self, points: list[dict[str, Any]], *, trial_files: Callable[[int], TrialFiles]) -> None:
        super().__init__()  # no metric: whatever its trials score, if anything, every point is trained
        self._waiting = [Suggestion(number, params, {}) for number, params in enumerate(points, start=1)]
        self._trial_files = trial_files
        self.bad_suggestions: list[str] = []
        self.closed = False

    def replay(self, suggestion: Suggestion, records: list[dict[str, Any]], verdict: Verdict | None) -> None:
        """Leave out a trial of the ledger that has ended."""
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
        """Write nothing: the ledger says what has ended."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: the ledger says what has ended."""
