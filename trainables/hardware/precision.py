"""Where and in which number format a model computes: the one place that asks the hardware what it can do."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Precision:
    """A device and the dtype that autocast uses on it; float32 means no autocast."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def to_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)

    def place(self, model: nn.Module, *, channels_last: bool) -> nn.Module:
        """Return `model` on the device, in the memory layout that is asked for where gradients are right in it."""
        model.to(self.device, memory_format=torch.channels_last if channels_last else torch.contiguous_format)
        if self.device.type == "cpu" and self.dtype == torch.bfloat16:
            _keep_channels_first(model)
        return model

    @property
    def needs_loss_scaling(self) -> bool:
        """fp16 gradients underflow (Micikevicius et al., Mixed Precision Training, arXiv 1710.03740); bf16's do not."""
        return self.dtype == torch.float16


def _keep_channels_first(model: nn.Module) -> None:
    """For grouped, dilated convolutions in bf16 on a CPU: channels last, their weights' gradient is what memory held.

    Seen with PyTorch 2.15 on a processor that multiplies bf16. It is right where neither input nor weights are so.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and max(module.dilation) > 1:
            # Not `contiguous`: with one channel a group both layouts count as such, and only one has these strides.
            module.weight.data = module.weight.data.flatten().view(module.weight.shape)
            module.register_forward_pre_hook(_channels_first)


def _channels_first(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].contiguous(),)


def choose_precision(name: str) -> Precision:
    """`name` is fp32, bf16, fp16 or auto: bf16 where the hardware multiplies it, else fp16 on a GPU, else fp32."""
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
