"""The device and the number format in which a model computes; only this file asks what the hardware supports."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

FEW_STEPS = 1000  # of one trial: compiling takes 8 s and saves 7 ms a step of 8 photos of 480x360 (U-Net++, one H200)


@dataclass(frozen=True)
class Precision:
    """A device and the dtype that autocast uses on it; float32 means no autocast."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def to_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)

    def host_bytes(self, shape: Sequence[int]) -> Tensor:
        """Return an uninitialised tensor uint8 on the host, from which `to_device` copies while this thread goes on."""
        return torch.empty(tuple(shape), dtype=torch.uint8, pin_memory=self.device.type == "cuda")

    def fetch(self, tensor: Tensor) -> Callable[[], np.ndarray]:
        """Begin to copy a tensor uint8 from the device; return a function that waits for the copy and returns it.

        The wait is for what the device was given before this call, and not for what it is given later.
        """
        if self.device.type != "cuda":
            return tensor.numpy
        copy, copied = self.host_bytes(tensor.shape), torch.cuda.Event()
        copy.copy_(tensor, non_blocking=True)
        copied.record()

        def wait() -> np.ndarray:
            copied.synchronize()
            return copy.numpy()

        return wait

    def place(self, model: nn.Module, *, channels_last: bool, steps: int | None = None) -> nn.Module:
        """Return `model` on the device, in the memory layout that is asked for except where another one is better.

        `steps` is for how many steps the model will be trained, if it will be trained and that is known.
        """
        model.to(self.device, memory_format=torch.channels_last if channels_last else torch.contiguous_format)
        if self.dtype == torch.bfloat16 and self.device.type == "cpu":
            _keep_channels_first(model, _has_wrong_gradients)
        elif self.dtype == torch.bfloat16 and channels_last and steps is not None and steps <= FEW_STEPS:
            _keep_channels_first(model, _would_be_compiled)
        return model

    @property
    def needs_loss_scaling(self) -> bool:
        """Return whether the loss must be scaled.

        Gradients underflow in fp16 (Micikevicius et al., Mixed Precision Training, arXiv 1710.03740), but not in bf16.
        """
        return self.dtype == torch.float16


def _has_wrong_gradients(conv: nn.Conv2d) -> bool:
    """Return whether a convolution in bf16 and channels last on a CPU has wrong gradients.

    Where it is grouped and dilated, PyTorch 2.15 returns uninitialised memory as the gradient of the weights if input
    or weights are channels last (seen on a processor with bf16 instructions).
    """
    return conv.groups > 1 and max(conv.dilation) > 1


def _would_be_compiled(conv: nn.Conv2d) -> bool:
    """Return whether cuDNN compiles kernels for a convolution in bf16 and channels last when it first runs.

    cuDNN 9 does for depthwise ones, in each process and for each size of the maps: for U-Net++ on EfficientNet-Lite2
    that took 8 to 16 s of the first step. PyTorch has kernels of its own for the other layout, which are ready at once
    and with which a step takes 15 % longer (tests/benchmarks/training/gpu.py measures both). Kernels of more than 5x5
    were not measured, and are left to cuDNN.
    """
    return conv.groups > 1 and conv.groups == conv.in_channels and max(conv.kernel_size) <= 5


def _keep_channels_first(model: nn.Module, of: Callable[[nn.Conv2d], bool]) -> None:
    """Keep weights and inputs of the convolutions that `of` picks in the layout that is not channels last."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and of(module):
            # `contiguous` would not do: with one channel per group both layouts count as contiguous.
            module.weight.data = module.weight.data.flatten().view(module.weight.shape)
            module.register_forward_pre_hook(_channels_first)


def _channels_first(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].contiguous(),)


def choose_precision(name: str) -> Precision:
    """Return the precision of that name: fp32, bf16, fp16 or auto.

    auto is bf16 where the hardware has instructions for it, else fp16 on a GPU and fp32 on a CPU.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    fixed = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if name in fixed:
        return Precision(device, fixed[name])
    if device.type == "cuda":
        return Precision(device, torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16)
    return Precision(device, torch.bfloat16 if _cpu_multiplies_bf16() else torch.float32)


def _cpu_multiplies_bf16() -> bool:
    # Without these instructions bf16 is emulated and slower than fp32.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
