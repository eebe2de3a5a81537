"""After warm_kernels, nothing that a study does with votes has to be compiled."""

import numpy as np
import pytest
from numba.core import event

from ensembling import hard_vote, select_ensemble, warm_kernels
from ensembling.assessment.assess import assess
from ensembling.assessment.diversity import measure_diversity
from ensembling.selection.modes import MODES
from tests.benchmarks.vote.pools import make_pool


@pytest.fixture
def compiled_functions():
    """The names of the functions that Numba compiles from now on."""
    names = []

    class Recorder(event.Listener):
        def on_start(self, event):
            names.append(event.data["dispatcher"].py_func.__name__)

        def on_end(self, event):
            pass

    with event.install_listener("numba:compile", Recorder()):
        yield names


@pytest.mark.filterwarnings("ignore")
def test_no_kernel_is_compiled_after_warming_up(compiled_functions, tmp_path):
    warm_kernels()
    compiled_functions.clear()
    pool = make_pool(0, 12, 6, (40, 30), 7)
    predictions = pool.predictions.copy()
    predictions[3, ::50] = 255
    np.save(tmp_path / "rows.npy", predictions)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    np.save(tmp_path / "target.npy", pool.target)
    target = np.load(tmp_path / "target.npy", mmap_mode="r")
    for mode in MODES:
        selection = select_ensemble(list(mapped), target, 7, mode=mode, image_ids=pool.image_ids, memory_bytes=1e5)
    hard_vote(mapped[list(selection.members)], 7, selection.weights)
    assess(selection, mapped, target, 7, pool.image_ids)
    measure_diversity(mapped[:4], target, 7)
    assert compiled_functions == []
