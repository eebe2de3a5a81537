"""Labels against which nothing can be selected are refused, without a copy of a large holdout."""

import tracemalloc

import numpy as np
import pytest

from ensembling import Predictions
from search.commands.ensemble.options import EnsembleOptions
from search.commands.ensemble.record import select_and_assess
from trainables.errors import UserError

PHOTOS, SIDE = 32, 256


@pytest.mark.parametrize(("label", "said"), [(0, "every labelled pixel is Background"), (255, "no pixel is labelled")])
def test_labels_of_one_class_or_none_are_refused(label, said):
    pixels = np.full(PHOTOS * SIDE * SIDE, label, np.uint8)
    names = tuple(f"{number}.png" for number in range(PHOTOS))
    target = Predictions(names, ((SIDE, SIDE),) * PHOTOS, ("Background", "Paper"), "f" * 64, pixels)
    tracemalloc.start()
    with pytest.raises(UserError, match=f"the holdout cannot be scored, so nothing can be selected on it: {said}"):
        select_and_assess([], target, EnsembleOptions(studies=("night",)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < pixels.nbytes
