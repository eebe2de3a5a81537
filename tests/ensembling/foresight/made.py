"""Pools whose truth is known by construction: runs that err independently, or together, at a rate that is chosen."""

import numpy as np

from ensembling import hard_vote
from ensembling.foresight.agreement_counts import AgreementCounter, LabelledCounts

CLASSES, SIZE = 4, (24, 32)
SKILLS = (0.90, 0.88, 0.85, 0.82, 0.80, 0.75)


def look_at(
    photos: int, *, harder: float, seed: int, rates: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
) -> LabelledCounts:
    """Return what six runs and their vote see of so many photos, labels of the classes' `rates`.

    A pixel's difficulty is common to all runs: a run is wrong where its skill is below a standard normal's share that
    is half the pixel's, half its own. `harder` is added to each pixel's, in standard deviations.
    """
    rng = np.random.default_rng(seed)
    counter = AgreementCounter(len(SKILLS), CLASSES, labelled=True)
    limits = np.quantile(np.random.default_rng(99).standard_normal(200_000), SKILLS)
    for _ in range(photos):
        target = rng.choice(CLASSES, SIZE, p=rates).astype(np.uint8)
        common, wrong = rng.standard_normal(SIZE) + harder, (target + rng.integers(1, CLASSES, SIZE)) % CLASSES
        own = rng.standard_normal((len(SKILLS), *SIZE)) + harder
        errs = (common + own) / np.sqrt(2) > limits[:, None, None]
        other = (target + rng.integers(1, CLASSES, (len(SKILLS), *SIZE))) % CLASSES
        mistaken = np.where(rng.random((len(SKILLS), *SIZE)) < 0.5, wrong, other)
        maps = np.where(errs, mistaken, target).astype(np.uint8)
        counter.add(maps, hard_vote(maps, CLASSES), target)
    return counter.labelled_counts()
