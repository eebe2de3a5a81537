"""Precision: the number format by name, and what follows from it."""

import copy

import pytest
import torch

from trainables.hardware.precision import Precision, choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_a_format_asked_for_is_the_one_that_is_used(name, dtype):
    assert choose_precision(name).dtype == dtype


def test_auto_picks_a_format_that_this_device_computes_in():
    precision = choose_precision("auto")
    if precision.device.type == "cuda":
        assert precision.dtype in (torch.bfloat16, torch.float16)
    else:
        assert precision.dtype in (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_under_autocast_are_of_the_format(dtype):
    with Precision(CPU, dtype).autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == dtype
    assert product.tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize(("dtype", "scaled"), [(torch.float32, False), (torch.bfloat16, False), (torch.float16, True)])
def test_only_fp16_needs_its_loss_scaled(dtype, scaled):
    assert Precision(CPU, dtype).needs_loss_scaling is scaled


@pytest.mark.parametrize("groups", [1, 8, 64])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_gradients_in_bf16_and_channels_last_are_those_in_fp32(groups, dilation):
    """PyTorch's own are of uninitialised memory where the convolution is dilated and has groups."""
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 64, 1), torch.nn.Conv2d(64, 64, 3, padding=dilation, dilation=dilation, groups=groups)]
    images = torch.randn(4, 3, 24, 32).contiguous(memory_format=torch.channels_last)
    towards = torch.randn(4, 64, 24, 32)

    def gradients(dtype):
        precision = Precision(CPU, dtype)
        model = precision.place(copy.deepcopy(torch.nn.Sequential(*layers)), channels_last=True)
        for _ in range(3):
            model.zero_grad()
            with precision.autocast():
                output = model(images)
            (output.float() * towards).sum().backward()
        return [parameter.grad for parameter in model.parameters()]

    for low, full in zip(gradients(torch.bfloat16), gradients(torch.float32), strict=True):
        assert (low - full).abs().mean() < 0.02 * full.abs().mean()
