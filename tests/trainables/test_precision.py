"""Precision: the number format by name, and what follows from it."""

import pytest
import torch

from trainables.precision import Precision, choose_precision

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
