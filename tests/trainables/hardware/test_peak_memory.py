"""Peak memory: of what came after the reset, not of all that the process ever held."""

import numpy as np
import torch

from trainables.hardware.peak_memory import PeakMemory

GIB = 2**30


def test_the_peak_is_that_since_the_reset():
    memory = PeakMemory(torch.device("cpu"))
    memory.reset()
    before = memory.gigabytes()
    large = np.ones(GIB // 2, np.uint8)
    with_large = memory.gigabytes()
    del large
    memory.reset()
    assert with_large - before > 0.4
    assert memory.gigabytes() < with_large - 0.4
