"""The hard vote over class maps: which candidates to let vote, what they score, and the file their maps are kept in."""

from ensembling.predictions import (
    Predictions,
    PredictionsError,
    check_same_holdout,
    read_predictions,
    with_joined_groups,
    write_predictions,
)
from ensembling.selection.select_ensemble import Selection, select_ensemble
from ensembling.vote import hard_vote
from ensembling.warm_up import warm_kernels

__all__ = [
    "Predictions",
    "PredictionsError",
    "Selection",
    "check_same_holdout",
    "hard_vote",
    "read_predictions",
    "select_ensemble",
    "warm_kernels",
    "with_joined_groups",
    "write_predictions",
]
