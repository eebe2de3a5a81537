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
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.tuning.schedulers.promotion import Promotion
from search.tuning.searchers.rank_model import RankModel
from search.tuning.searchers.suggestion import Suggestion
from search.tuning.searchers.tell_optuna import TrialStorage, report_epoch, tell_end
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
        trials: int,
        promotion: Promotion | None = None,
        recipes: Sequence[dict[str, Any]] = (),
        learnt: RankModel | None = None,
        trial_files: Callable[[int], TrialFiles] | None = None,
    ) -> None:
        """
        Args:
            space: Maps an Optuna trial to a plain configuration.
            seed: Decides all suggestions, together with the scores of the trials.
            epochs: How many a trial has that is not stopped.
            check: Raises ValueError for a configuration that cannot be trained.
            constant_liar: Whether trials run side by side.
            trials: How many to suggest, those of earlier commands included.
            promotion: The scheduler, where it pauses trials: those that it promotes are handed out again.
            recipes: Values of suggestions to try first, in order; those that one leaves open are drawn.
            learnt: What other studies say of configurations: of several that are drawn it chooses the best.
            trial_files: The ledger that suggestions are written to; None where they are only shown.
        """
        super().__init__()  # no metric: Tune would look for it in results that have none
        self.study = optuna.create_study(storage=TrialStorage(), direction="maximize", pruner=NopPruner())
        self._space, self._check, self._recipes, self._learnt = space, check, list(recipes), learnt
        self._seed, self._epochs, self._constant_liar = seed, epochs, constant_liar
        self._trials, self._promotion, self._trial_files = trials, promotion, trial_files
        self._running: dict[str, tuple[Suggestion, optuna.Trial]] = {}
        self._unfinished: list[tuple[Suggestion, optuna.Trial]] = []
        self._paused: dict[int, tuple[Suggestion, optuna.Trial]] = {}
        self._next_number, self._known = 1, 0
        self.bad_suggestions: list[str] = []
        self.not_suggested = 0
        """How many trials are left out, since the space makes nothing more that can be trained."""
        self.closed = False
        """Set to True when no further trial is to begin: `suggest` returns FINISHED from then on."""

    def replay(self, suggestion: Suggestion, records: list[dict[str, Any]], verdict: Verdict | None) -> None:
        """Tell the sampler of a trial of the ledger; one without a verdict is handed out again by `suggest`."""
        self._next_number, self._known = max(self._next_number, suggestion.number + 1), self._known + 1
        self._recipes = [recipe for recipe in self._recipes if not recipe.items() <= suggestion.sampled.items()]
        trial = self._ask_again(suggestion, records)
        if verdict is not None:
            tell_end(self.study, trial, epochs=self._epochs, failed=verdict["status"] == "failed")
        elif self._is_paused(suggestion):
            self._paused[suggestion.number] = suggestion, trial
        else:
            self._unfinished.append((suggestion, trial))

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return what the next trial trains, None where that is not known yet, or FINISHED."""
        if self.closed:
            return Searcher.FINISHED
        found = self._next_unfinished() or self._next_promoted() or self._next_new() or self._next_of_last()
        if found is None:
            return None if self._running and self._promotion else Searcher.FINISHED
        suggestion, _ = self._running[trial_id] = found
        return {"number": suggestion.number, "params": suggestion.params}

    def _next_unfinished(self) -> tuple[Suggestion, optuna.Trial] | None:
        return self._unfinished.pop(0) if self._unfinished else None

    def _next_promoted(self) -> tuple[Suggestion, optuna.Trial] | None:
        number = self._promotion.next_promotion() if self._promotion else None
        if number is None:
            return None
        self._promotion.promote(number)
        return self._paused.pop(number)

    def _next_of_last(self) -> tuple[Suggestion, optuna.Trial] | None:
        """Return a paused trial that is promoted because no new trial is left."""
        if self._promotion is None:
            return None
        self._promotion.no_new_trials = True
        return self._next_promoted()

    def _next_new(self) -> tuple[Suggestion, optuna.Trial] | None:
        """Draw a configuration, write it to the ledger and return it.

        Return None where there are enough trials, or where the space makes no configuration that can be trained.
        """
        if self._known >= self._trials:
            return None
        found = self._draw()
        if found is None:
            self.not_suggested, self._trials = self._trials - self._known, self._known  # it is not asked again
            return None
        trial, params = found
        suggestion = Suggestion(self._next_number, params, trial.params)
        self._next_number, self._known = self._next_number + 1, self._known + 1
        if self._trial_files:
            suggestion.save(self._trial_files(suggestion.number))
        return suggestion, trial

    def _draw(self) -> tuple[optuna.Trial, dict[str, Any]] | None:
        """Return Optuna's next trial and its configuration; None where the space makes none that can be trained.

        Where the search learns from other studies, it is the best of several by what they say, and Optuna is told that
        the others failed, which it does not learn from.
        """
        wanted = self._learnt.candidates(self._known) if self._learnt and not self._recipes else 1
        best, drawn, bad = None, 0, 0
        while drawn < wanted and bad < MAX_BAD_SUGGESTIONS:
            found = self._draw_one(drawn + bad)
            if found is None:
                bad += 1
                continue
            drawn += 1
            pair = [found] if best is None else [best, found]
            best = max(pair, key=self._expected) if wanted > 1 else found
            for trial, _ in pair:
                if trial is not best[0]:
                    self.study.tell(trial, state=TrialState.FAIL)
        return best

    def _expected(self, drawn: tuple[optuna.Trial, dict[str, Any]]) -> float:
        return self._learnt.expected(drawn[0].params)

    def _draw_one(self, attempt: int) -> tuple[optuna.Trial, dict[str, Any]] | None:
        """Return a trial of Optuna's and its configuration; None, with the reason kept, where it cannot be trained."""
        self.study.sampler = self._sampler(attempt)
        if self._recipes:
            self.study.enqueue_trial(self._recipes.pop(0))
        trial = self.study.ask()
        try:
            params = self._space(trial)
            self._check(params)
            json.dumps([params, trial.params])  # as the ledger keeps them
            return trial, params
        except (Exception, SystemExit) as error:  # a user's code: what it raises ends this suggestion, not the study
            self.study.tell(trial, state=TrialState.FAIL)
            self.bad_suggestions.append(f"{type(error).__name__}: {error}")
        return None

    def _sampler(self, attempt: int) -> BaseSampler:
        """Return what draws the next suggestion."""
        return sampler_of(self._seed, self._next_number, attempt, self._constant_liar)

    def _ask_again(self, suggestion: Suggestion, records: list[dict[str, Any]]) -> optuna.Trial:
        self.study.enqueue_trial(suggestion.sampled)
        trial = self.study.ask()
        with suppress(Exception, SystemExit):  # a space that raises now and then may do so now
            self._space(trial)  # registers the distributions with the sampler
        for record in records:
            report_epoch(self.study, trial, record)
        return trial

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if not result.get("failure"):
            report_epoch(self.study, self._running[trial_id][1], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        suggestion, trial = self._running.pop(trial_id)
        failed = error or not result or bool(result.get("failure"))
        if not failed:
            report_epoch(self.study, trial, result)  # Tune tells the last result only here
        if self._is_paused(suggestion) and not failed:
            self._paused[suggestion.number] = suggestion, trial
        else:
            tell_end(self.study, trial, epochs=self._epochs, failed=failed)

    def _is_paused(self, suggestion: Suggestion) -> bool:
        return self._promotion is not None and suggestion.number in self._promotion.paused

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: a resumed study replays the ledger, which is never behind."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: a resumed study replays the ledger."""
