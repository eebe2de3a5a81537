"""Where and in which number format a model computes: the one place that asks the hardware what it can do."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Precision:
    """A device and the dtype that autocast uses on it; float32 means no autocast."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def to_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)

    @property
    def needs_loss_scaling(self) -> bool:
        """fp16 gradients underflow (Micikevicius et al., Mixed Precision Training, arXiv 1710.03740); bf16's do not."""
        return self.dtype == torch.float16


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
