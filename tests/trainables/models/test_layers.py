"""Layers that heads share."""

import pytest
import torch

from trainables.models.layers import concatenate, convolve_concatenated, resize

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


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


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
@pytest.mark.parametrize("cells", [1, 2])
def test_a_cell_gets_the_gradients_of_all_its_pixels_in_bfloat16(device, cells):
    """On a GPU a sum in bfloat16 would have stopped growing at 256."""
    x = torch.ones(1, 8, cells, cells, dtype=torch.bfloat16, device=device, requires_grad=True)
    resized = resize(x, torch.zeros(1, 1, 64, 64))
    assert resized.dtype == torch.bfloat16
    assert (resized == 1).all()
    resized.backward(torch.ones_like(resized))
    torch.testing.assert_close(x.grad.float(), torch.full_like(x.grad.float(), (64 / cells) ** 2), rtol=0.01, atol=0)
