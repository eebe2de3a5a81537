"""Who may vote: the last rung counts, and so does a score that is as good."""

import numpy as np
import pytest

from ensembling.runs.eligible import eligible


@pytest.mark.parametrize(
    ("scores", "reached", "expected"),
    [
        ([0.2, 0.3], [False, False], [True, True]),  # nobody came there
        ([0.5, 0.4, 0.3], [True, False, False], [True, False, False]),
        ([0.5, 0.54, 0.3], [True, False, False], [True, True, False]),  # promoted last, and the best of all
        ([0.2, 0.5, 0.6, 0.5, 0.49], [True, True, True, False, False], [True, True, True, True, False]),
        ([0.5, np.nan], [True, False], [True, False]),
        ([np.nan, 0.5, 0.6, 0.4], [True, True, False, False], [True, True, True, False]),  # one has lost its score
        ([np.nan, 0.6], [True, False], [True, False]),
        ([], [], []),
    ],
)
def test_trials_vote_that_came_far_or_are_as_good_as_the_middle_one_of_those(scores, reached, expected):
    assert eligible(scores, reached) == expected
