"""How far two halves of a test differ by chance alone, such as a public and a private leaderboard.

Both halves are drawn from the holdout's photos, as in the bootstrap of ensembling/assessment/bootstrap.py.
"""

from dataclasses import dataclass

import numpy as np

from ensembling.assessment.bootstrap import drawn_mious

DRAWS = 4000


@dataclass(frozen=True)
class Halves:
    """Of a vote and another on a test of `photos` photos, in mIoU: medians and what 95 % of tests stay below.

    `gap` is the distance of the vote's score on one half to that on the other. `lead` is the distance of its lead over
    the other vote; `swapped` is the share of tests in which the order of the two differs between the halves.
    """

    photos: int
    gap_median: float
    gap_95: float
    lead_median: float
    lead_95: float
    swapped: float


def halves_of_test(counts: np.ndarray, photos: int, *, photos_per_group: float = 1.0, seed: int = 0) -> Halves:
    """Return how much two halves of a test differ, if it is like the holdout.

    Groups, which are photos that belong together, are drawn whole, so that each is in one half alone.

    Args:
        counts: The counts of the vote and of another one, such as its best member, on the holdout's groups: int64 (2,
            groups, 3, num_classes), as in ensembling/scores.py.
        photos: The number of photos of the test.
        photos_per_group: The mean number of photos of a group.
        seed: Draws the groups.

    Raises:
        ValueError: The test has fewer than two groups, or the holdout has one.
    """
    groups = counts.shape[1]
    drawn = round(photos / 2 / photos_per_group)
    if groups < 2 or drawn < 1:
        raise ValueError(
            f"{photos} photos make no two halves: a scene has {photos_per_group:g} on average, and {groups} are known"
        )
    rng = np.random.default_rng(seed)
    first, second = (drawn_mious(counts, rng, draws=DRAWS, scenes=drawn) for _ in range(2))
    gap = abs(first[:, 0] - second[:, 0])
    leads = np.stack([half[:, 0] - half[:, 1] for half in (first, second)])
    lead = abs(leads[0] - leads[1])
    return Halves(
        photos,
        *(float(np.percentile(values, at)) for values in (gap, lead) for at in (50, 95)),
        swapped=float(np.mean(leads[0] * leads[1] < 0)),
    )
