"""How much of the scores' spread each choice of the space explains, by Optuna's evaluators."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

from search.report.record.factors import is_range
from search.report.record.study_record import StudyRecord

FEWEST = 10  # trials; with fewer, an importance is the noise of single trials
SEED = 0
TREES = 16  # of fANOVA's forest: four times as many, its default, take four times as long and change little


@dataclass(frozen=True)
class Importance:
    """The share of each choice, by one evaluator, on the scores of so many trials at one epoch; they add up to 1.

    A choice that only some trials have, since another one leads to it, has no share.
    """

    evaluator: str
    epoch: int
    trials: int
    shares: dict[str, float]


def importances(study: StudyRecord) -> list[Importance]:
    """Return the importances by fANOVA and by PED-ANOVA on the scores at the epoch that every trial came to.

    fANOVA (Hutter et al., An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014) explains the
    spread of all scores, PED-ANOVA (Watanabe et al., IJCAI 2023) what tells the best tenth from the rest. Where enough
    trials were trained to their end, fANOVA of their best scores follows. Empty with fewer than ten trials.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    early = [(trial.sampled, trial.best_until(study.common_epoch)) for trial in study.scored]
    late = [(trial.sampled, trial.best) for trial in study.scored if trial.status == "completed"]
    asked = [
        ("fANOVA", FanovaImportanceEvaluator(n_trees=TREES, seed=SEED), study.common_epoch, early),
        ("PED-ANOVA", PedAnovaImportanceEvaluator(), study.common_epoch, early),
    ]
    if study.epochs > study.common_epoch:
        asked.append(("fANOVA", FanovaImportanceEvaluator(n_trees=TREES, seed=SEED), study.epochs, late))
    found = [_importance(*one) for one in asked]
    return [one for one in found if one]


def _importance(
    name: str, evaluator: Any, epoch: int, drawn: Sequence[tuple[dict[str, Any], float | None]]
) -> Importance | None:
    rows = [(sampled, score) for sampled, score in drawn if sampled and score is not None]
    varied = {key: {sampled[key] for sampled, _ in rows if key in sampled} for sampled, _ in rows for key in sampled}
    if len(rows) < FEWEST or not any(len(values) > 1 for values in varied.values()):
        return None
    distributions = {key: _distribution(sorted(values, key=str)) for key, values in varied.items()}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=SEED))
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=sampled, distributions={key: distributions[key] for key in sampled}, value=score
            )
            for sampled, score in rows
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers of a report need not know that an evaluator is experimental
        try:
            shares = get_param_importances(study, evaluator=evaluator, normalize=True)
        except (ValueError, RuntimeError):  # all scores are the same, or no choice is in every trial
            return None
    return Importance(name, epoch, len(rows), {key: float(share) for key, share in shares.items()})


def _distribution(values: list[Any]) -> BaseDistribution:
    """Return the distribution of the values that were drawn, since the evaluators look at no others."""
    if not is_range(values):
        return CategoricalDistribution(values)
    low, high = float(min(values)), float(max(values))
    return FloatDistribution(low, high, log=low > 0 and high / low > 10)
