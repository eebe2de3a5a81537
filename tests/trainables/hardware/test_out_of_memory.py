"""Memory that runs out: half as much at once, and no other error is taken for it."""

import pytest
import torch

from trainables.hardware.out_of_memory import is_out_of_memory, run_in_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_half_as_many_until_they_fit(error):
    tried, undone = [], []

    def run(at_once):
        tried.append(at_once)
        if at_once > 2:
            raise error
        return "done"

    assert run_in_memory(run, 7, before_retry=lambda: undone.append(tried[-1])) == ("done", 2)
    assert tried == [7, 4, 2]
    assert undone == [7, 4]


def test_the_error_of_a_single_one_is_raised():
    def run(at_once):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        run_in_memory(run, 4)


def test_pytorchs_own_words_on_the_cpu_are_known():
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 50)
    assert is_out_of_memory(error.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("out of memory"), OSError()])
def test_other_errors_are_raised_at_once(error):
    tried = []

    def run(at_once):
        tried.append(at_once)
        raise error

    with pytest.raises(type(error)):
        run_in_memory(run, 4)
    assert tried == [4]
