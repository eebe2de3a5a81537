"""Passes recorded as CUDA graphs give what the function gives; where nothing can be recorded, the function runs."""

import pytest
import torch

from trainables.hardware import cuda_graphs
from trainables.hardware.cuda_graphs import GraphedPass

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Counted:
    """A function of a tensor, and how often Python ran it."""

    def __init__(self, function):
        self.function, self.runs = function, 0

    def __call__(self, images):
        self.runs += 1
        return self.function(images)


def test_on_a_cpu_the_function_runs_each_time():
    double = Counted(lambda images: 2 * images)
    passes = GraphedPass(double)
    for value in range(4):
        assert torch.equal(passes(torch.full((2, 3), value)), torch.full((2, 3), 2 * value))
    assert double.runs == 4


@needs_gpu
def test_from_the_second_call_with_a_shape_on_the_function_is_replayed():
    double = Counted(lambda images: 2 * images + 1)
    passes = GraphedPass(double)
    given = [torch.arange(6, device="cuda") + value for value in range(5)]
    results = [passes(images) for images in given]
    assert double.runs == 2
    for images, result in zip(given, results):  # a later replay has not overwritten an earlier result
        assert torch.equal(result, 2 * images + 1)


@needs_gpu
def test_each_shape_is_recorded_up_to_a_number(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MOST_GRAPHS", 2)
    double = Counted(lambda images: 2 * images)
    passes = GraphedPass(double)
    for _ in range(3):
        for length in (1, 2, 3):
            images = torch.arange(length, device="cuda")
            assert torch.equal(passes(images), 2 * images)
    assert double.runs == 2 + 2 + 3


@needs_gpu
def test_a_function_that_waits_for_the_gpu_always_runs_as_it_is():
    add_sum = Counted(lambda images: images + int(images.sum()))
    passes = GraphedPass(add_sum)
    images = torch.arange(6, device="cuda")
    for _ in range(3):
        assert torch.equal(passes(images), images + 15)
    assert torch.cuda.get_sync_debug_mode() == 0
    assert torch.equal(GraphedPass(torch.square)(images), images.square())


@needs_gpu
def test_a_function_that_cannot_be_recorded_runs_as_it_is(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "_run_without_waiting", lambda function, images: function(images))
    passes, stream = GraphedPass(lambda images: images + int(images.sum())), torch.cuda.current_stream()
    images = torch.arange(6, device="cuda")
    for _ in range(3):
        assert torch.equal(passes(images), images + 15)
    assert torch.cuda.current_stream() == stream
    other = GraphedPass(torch.square)
    for _ in range(3):
        assert torch.equal(other(images), images.square())
