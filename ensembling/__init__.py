"""The hard vote over class maps: which candidates to let vote, what they score, and the file their maps are kept in."""

from ensembling.predictions import (
    Predictions,
    PredictionsError,
    check_same_holdout,
    read_predictions,
    write_predictions,
)
from ensembling.selection.ensemble_selection import Selection, select_ensemble
from ensembling.vote import hard_vote

__all__ = [
    "Predictions",
    "PredictionsError",
    "Selection",
    "check_same_holdout",
    "hard_vote",
    "read_predictions",
    "select_ensemble",
    "write_predictions",
]
