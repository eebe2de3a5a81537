"""OptunaSearch: Optuna's TPE under Ray Tune's interface for searchers.

It writes each configuration to the trial's directory before Ray sees it. What Optuna learns of a trial's epochs and of
its end is in tell_optuna.py.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import NopPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.tuning.searchers.suggestion import Suggestion
from search.tuning.searchers.tell_optuna import report_epoch, tell_end
from trainables.trial.files import TrialFiles, Verdict

MAX_BAD_SUGGESTIONS = 20  # in a row; then the space is taken to be broken for good


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


class OptunaSearch(Searcher):
    """Suggests configurations by Optuna's TPE, which learns how each trial ended.

    When a study is resumed, `replay` is called for each of its trials before the first suggestion: those that have not
    ended are handed out again, under the same number.
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
            failed = verdict["status"] == "failed"
            tell_end(self.study, self._ask_again(suggestion, records), epochs=self._epochs, failed=failed)

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
            report_epoch(self.study, trial, record)
        return trial

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if not result.get("failure"):
            report_epoch(self.study, self._running[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial = self._running.pop(trial_id)
        failed = error or not result or bool(result.get("failure"))
        if not failed:
            report_epoch(self.study, trial, result)  # Tune tells the last result only here
        tell_end(self.study, trial, epochs=self._epochs, failed=failed)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a resumed study replays the ledger, which is never behind."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: a resumed study replays the ledger."""
