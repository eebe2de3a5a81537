"""The ways to search that are compared: each is a scheduler and a searcher of search/tuning, or a variation of them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from ray.tune.schedulers import TrialScheduler

from search.tuning.schedulers.asha import Asha
from search.tuning.schedulers.ladder import Ladder
from search.tuning.schedulers.promotion import Promotion
from search.tuning.schedulers.rungs import rungs
from search.tuning.schedulers.scheduler import Scheduler
from search.tuning.searchers.optuna_search import OptunaSearch
from search.tuning.searchers.rank_model import RankModel
from tests.benchmarks.recorded_pool import Trial
from tests.benchmarks.recording.space import EPOCHS, suggest
from tests.benchmarks.simulation.learning import learn, learn_nonsense
from trainables.study_data import OBJECTIVE

MOST_TRIALS = 1500
LEARNT = 5  # of another study's trials, which are tried first


class RandomSearch(OptunaSearch):
    """Draws at random."""

    def _sampler(self, attempt: int) -> BaseSampler:
        return RandomSampler(seed=_seed(self._seed, self._next_number, attempt))


class UnivariateSearch(OptunaSearch):
    """TPE that models each parameter by itself, as Optuna's default is."""

    def _sampler(self, attempt: int) -> BaseSampler:
        seed = _seed(self._seed, self._next_number, attempt)
        return TPESampler(seed=seed, constant_liar=self._constant_liar)


class UngroupedSearch(OptunaSearch):
    """TPE that models together only the parameters that all trials have."""

    def _sampler(self, attempt: int) -> BaseSampler:
        seed = _seed(self._seed, self._next_number, attempt)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(seed=seed, multivariate=True, constant_liar=self._constant_liar)


def _space(trial: Any) -> dict[str, Any]:
    """Return the configuration of the recorded space, with what was drawn for it beside."""
    return suggest(trial) | {"drawn": dict(trial.params)}


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


class GrowingPromotion(Promotion):
    """PASHA (Bohdal et al., ICLR 2023): nobody is promoted beyond a rung until the top two rungs in use disagree.

    They disagree where the trials that are in both are ranked otherwise in the one than in the other.
    """

    def __init__(self, ladder: Ladder) -> None:
        super().__init__(ladder)
        self._top = 2  # rungs in use

    def next_promotion(self) -> int | None:
        rungs = [rung for rung in self._ladder.brackets[0] if rung.epoch < self._ladder.epochs]
        if self._top <= len(rungs):
            upper, lower = rungs[self._top - 1], rungs[self._top - 2]
            both = [number for number in upper.scores if number in lower.scores]
            ranked = [sorted(both, key=lambda number: rung.scores[number]) for rung in (upper, lower)]
            if len(both) > 1 and ranked[0] != ranked[1]:
                self._top += 1
        beyond = {number for rung in rungs[self._top - 1 :] for number in rung.scores}
        held = self.paused & beyond if self._top <= len(rungs) else set()
        self.paused -= held
        found = super().next_promotion()
        self.paused |= held
        return found


class CostAwarePromotion(Promotion):
    """Among the trials that may be promoted, prefers the one whose score so far cost the fewest seconds."""

    def __init__(self, ladder: Ladder) -> None:
        super().__init__(ladder)
        self._cost: dict[int, float] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self._cost[trial.config["number"]] = result["cost"] / result["epoch"]
        return super().on_trial_result(tune_controller, trial, result)

    def next_promotion(self) -> int | None:
        for rung in sorted(self._all_rungs(), key=lambda rung: -rung.epoch):
            ranked = sorted(rung.scores, key=lambda number: (-rung.scores[number], number))
            best = ranked[: int(len(ranked) / self._ladder.reduction_factor)]
            waiting = [number for number in best if number in self.paused and number not in rung.passed]
            if waiting:
                return min(waiting, key=lambda number: self._cost[number])
        return None


class SlopePromotion(Promotion):
    """Ranks trials at a rung by what they scored there and what they gained in the epoch before, added."""

    def __init__(self, ladder: Ladder) -> None:
        super().__init__(ladder)
        self._last: dict[int, float] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        number, score = trial.config["number"], result[OBJECTIVE]
        gain = max(0.0, score - self._last.get(number, score))
        self._last[number] = score
        return super().on_trial_result(tune_controller, trial, result | {OBJECTIVE: score + gain})


class SecondsPromotion(Promotion):
    """Compares trials after so many GPU-seconds instead of epochs: those that the median trial takes for a rung.

    A trial of quick epochs comes to a rung later in epochs, and has learnt more for the same money.
    """

    def __init__(self, ladder: Ladder) -> None:
        super().__init__(ladder)
        self._epoch_s: dict[int, float] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result["epoch"] >= self._ladder.epochs:
            return TrialScheduler.STOP
        self._epoch_s[trial.config["number"]] = result["cost"] / result["epoch"]
        equivalent = result["cost"] / float(np.median(list(self._epoch_s.values())))
        return super().on_trial_result(
            tune_controller, trial, result | {"epoch": min(equivalent, self._ladder.epochs - 0.01)}
        )


def _best(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: -max(trial.miou))[:LEARNT]


@dataclass(frozen=True)
class Method:
    """`scheduler` makes one from a ladder, whose first rung is at the epoch `grace_period`.

    One that `learns` tries the best trials of other studies first; `learnt` makes a model of them, given a seed.
    """

    name: str
    scheduler: Callable[[Ladder], Any]
    searcher: type[OptunaSearch]
    grace_period: int = 1
    factor: float = 3.0
    learns: bool = False
    learnt: Callable[[Sequence[Trial], int], RankModel] | None = None

    @property
    def last_rung(self) -> int:
        return rungs(EPOCHS, self.grace_period, self.factor)[-1]

    def start(self, seed: int, slots: int, others: Sequence[Trial]) -> tuple[Any, OptunaSearch]:
        """Return a scheduler and a searcher for a new study; `others` are trials of a study on other data."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        how = {"grace_period": self.grace_period, "reduction_factor": self.factor}
        scheduler = self.scheduler(Ladder(epochs=EPOCHS, brackets=1, seed=seed, **how))
        searcher = self.searcher(
            _space,
            seed=seed,
            epochs=EPOCHS,
            check=lambda params: None,
            constant_liar=slots > 1,
            trials=MOST_TRIALS,
            promotion=scheduler if isinstance(scheduler, Promotion) else None,
            recipes=[trial.params for trial in _best(others)] if self.learns else [],
            learnt=self.learnt(others, seed) if self.learnt else None,
        )
        return scheduler, searcher


METHODS = [
    Method("every trial to its end, random", lambda ladder: Scheduler(), RandomSearch, grace_period=2),
    Method("every trial to its end, TPE", lambda ladder: Scheduler(), OptunaSearch, grace_period=2),
    Method("stop at 2 and 6, univariate TPE (before)", Asha, UnivariateSearch, grace_period=2),
    Method("stop at 2 and 6, TPE", Asha, OptunaSearch, grace_period=2),
    Method("stop at 1, 3 and 9, TPE", Asha, OptunaSearch),
    Method("promote at 2 and 6, TPE", Promotion, OptunaSearch, grace_period=2),
    Method("promote at 1, 3 and 9, TPE (now)", Promotion, OptunaSearch),
    Method("promote at 1, 3 and 9, random", Promotion, RandomSearch),
    Method("promote at 1, 3 and 9, univariate TPE", Promotion, UnivariateSearch),
    Method("promote at 1, 3 and 9, TPE multivariate without group", Promotion, UngroupedSearch),
    Method("promote at 1, 4 and 16, TPE", Promotion, OptunaSearch, factor=4.0),
    Method("promote at 1, 2, 4, 8 and 16, TPE", Promotion, OptunaSearch, factor=2.0),
    Method("promote with PASHA's growth, TPE", GrowingPromotion, OptunaSearch),
    Method("promote, cheapest first, TPE", CostAwarePromotion, OptunaSearch),
    Method("promote, rungs in GPU-seconds, TPE", SecondsPromotion, OptunaSearch),
    Method("promote by score and slope, TPE", SlopePromotion, OptunaSearch),
    Method("promote, TPE, five best of the other data set first", Promotion, OptunaSearch, learns=True),
    Method("promote, TPE, learning from the other data set", Promotion, OptunaSearch, learnt=learn),
    Method("promote, TPE, learning from nonsense", Promotion, OptunaSearch, learnt=learn_nonsense),
]
