"""Precision: the number format by name, and what follows from it."""

import copy

import pytest
import torch

from trainables.hardware.precision import FEW_STEPS, Precision, choose_precision

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


@pytest.mark.parametrize(
    ("steps", "kept"),
    [(None, []), (FEW_STEPS + 1, []), (FEW_STEPS, ["3x3", "5x5"])],
    ids=["predicting", "a long trial", "a short trial"],
)
def test_depthwise_convolutions_of_a_short_trial_on_a_gpu_are_not_in_channels_last(steps, kept):
    """cuDNN would compile kernels for them. The meta device stands for a GPU: all but CPUs are treated alike."""
    convolutions = {
        "3x3": torch.nn.Conv2d(8, 8, 3, groups=8),
        "5x5": torch.nn.Conv2d(8, 16, 5, groups=8),
        "7x7": torch.nn.Conv2d(8, 8, 7, groups=8),
        "grouped": torch.nn.Conv2d(8, 8, 3, groups=4),
        "dense": torch.nn.Conv2d(8, 8, 3),
    }
    model = torch.nn.ModuleDict(convolutions)
    Precision(torch.device("meta"), torch.bfloat16).place(model, channels_last=True, steps=steps)
    assert [name for name, module in model.items() if module._forward_pre_hooks] == kept
    for name, module in model.items():
        if name in kept:
            assert module.weight.stride() == torch.empty(module.weight.shape).stride()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_depthwise_convolution_gives_the_same_in_either_layout():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(64, 64, 3, padding=1, groups=64)
    images = torch.randn(4, 64, 24, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    precision = Precision(torch.device("cuda"), torch.bfloat16)
    outputs = []
    for steps in (1, None):
        model = precision.place(torch.nn.Sequential(copy.deepcopy(conv)), channels_last=True, steps=steps)
        with precision.autocast():
            outputs.append(model(images))
        outputs[-1].float().square().sum().backward()
        outputs.append(model[0].weight.grad)
    for one, other in zip(outputs[:2], outputs[2:]):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)
