"""Compiling ahead of time: the first selection on a machine would otherwise wait for its kernels."""

import tempfile
from pathlib import Path

import numpy as np

from ensembling.assessment.assess import assess
from ensembling.assessment.diversity import measure_diversity
from ensembling.predictions import Predictions, read_predictions, write_predictions
from ensembling.selection.select_ensemble import select_ensemble
from ensembling.vote import hard_vote


def warm_kernels() -> None:
    """Compile the kernels of the vote, the selection and its assessment, or load them where they are kept on disk.

    It runs each of them once on a few pixels. Compiling takes about half a minute of one core, loading about a second;
    the interpreter lock is held while it compiles, so that a thread that calls this slows others down meanwhile.
    """
    rng = np.random.default_rng(0)
    target = rng.integers(0, 9, 256).astype(np.uint8)
    votes = np.where(rng.random((9, 256)) < 0.5, target, rng.integers(0, 9, (9, 256))).astype(np.uint8)
    images = np.repeat(np.arange(4), 64)
    selection = select_ensemble(votes, target, 9, max_members=4, image_ids=images)
    select_ensemble(votes[:3], target, 9, mode="exhaustive")
    hard_vote(votes, 9)
    assess(selection, votes, target, 9, images)
    measure_diversity(votes[:3], target, 9, rounds=2)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "predictions")
        names = tuple(f"class {class_id}" for class_id in range(9))
        write_predictions(path, Predictions(("image",), ((16, 16),), names, "", target))
        read_predictions(path)
