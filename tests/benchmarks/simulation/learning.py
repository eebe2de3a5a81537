"""What a simulated study learns from the recorded trials on the other data set, and from such that mislead it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from search.study.choices import explore
from search.tuning.searchers.other_studies import places_of
from search.tuning.searchers.rank_model import RankModel
from tests.benchmarks.recorded_pool import Trial
from tests.benchmarks.recording.space import suggest


def learn(others: Sequence[Trial], seed: int) -> RankModel:
    """Return the model that --learn-from makes of a study with these trials."""
    places = places_of([trial.miou for trial in others])
    return RankModel(explore("recorded", suggest), [(trial.params, place) for trial, place in zip(others, places)])


def learn_nonsense(others: Sequence[Trial], seed: int) -> RankModel:
    """Return a model of the same trials, each of which has the scores of another one, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(others))
    return learn([dataclasses.replace(trial, miou=others[place].miou) for trial, place in zip(others, order)], seed)
