"""Which trials may vote, of those that early stopping did not let train to their end."""

from collections.abc import Sequence

import numpy as np


def eligible(last_scores: Sequence[float], reached_last_rung: Sequence[bool]) -> list[bool]:
    """Return for each trial whether it may vote.

    Those may that reached the last rung or finished, and of the others those that are as good by now as the middle one
    of these: a trial that was promoted last, when the time was over, may be the best of all. Where no trial reached the
    last rung, all may vote.

    Args:
        last_scores: The holdout mIoU of each trial's last epoch; NaN where there is none.
        reached_last_rung: Whether the trial reached the last rung or finished.
    """
    reached = np.array(reached_last_rung, bool)
    if not reached.any():
        return [True] * len(reached)
    scores = np.array(last_scores, float)
    known = scores[reached & ~np.isnan(scores)]
    middle = np.median(known) if known.size else np.inf
    return (reached | (scores >= middle)).tolist()
