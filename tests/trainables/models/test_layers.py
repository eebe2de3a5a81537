"""Layers that heads share."""

import pytest
import torch

from trainables.models.layers import concatenate, convolve_concatenated


@pytest.mark.parametrize("sizes", [[(16, 16), (8, 8), (4, 4)], [(15, 22), (8, 11), (4, 6), (2, 3)]])
def test_a_convolution_of_each_map_at_its_own_size_gives_that_of_the_concatenated_maps(sizes):
    torch.manual_seed(0)
    maps = [torch.randn(2, 3 + i, *size, requires_grad=True) for i, size in enumerate(sizes)]
    conv = torch.nn.Conv2d(sum(x.shape[1] for x in maps), 7, kernel_size=1, bias=False)
    expected = conv(concatenate(maps))
    got = convolve_concatenated(conv, maps)
    torch.testing.assert_close(got, expected)

    wanted = torch.autograd.grad(expected.square().sum(), [*maps, conv.weight])
    for ours, theirs in zip(torch.autograd.grad(got.square().sum(), [*maps, conv.weight]), wanted):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
