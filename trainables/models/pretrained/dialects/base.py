"""What a dialect is: a table from another code base's names of a backbone's tensors to timm's."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Tensors = dict[str, Tensor]
Rename = tuple[str, str | Callable[[re.Match], str]]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of each colour, in 0..1
IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def unchanged(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    return {key: tensor}


@dataclass(frozen=True)
class Dialect:
    """`marker` is a pattern that only this dialect's keys match; `renames` are applied in order, `change` last.

    `eps`, from all tensors of the file, is what its batch norms add to the variance, and `statistics` are those with
    which its photos were normalised, where either may differ from what timm has for the same network.
    """

    name: str
    marker: str
    renames: tuple[Rename, ...] = ()
    change: Callable[[str, Tensor, Tensors], Tensors] = unchanged  # it is also given all tensors of the file
    eps: Callable[[Tensors], float] | None = None
    statistics: Statistics | None = None

    def to_timm(self, state: Tensors) -> Tensors:
        renamed = {self._rename(key): tensor for key, tensor in state.items()}
        changed: Tensors = {}
        for key, tensor in renamed.items():
            changed |= self.change(key, tensor, renamed)
        return changed

    def _rename(self, key: str) -> str:
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key


def one_stage_on(match: re.Match) -> str:
    """Return the name with its patch merging in stage N + 1.

    Most code bases have the patch merging at the end of stage N, and timm has it at the start of stage N + 1.
    """
    return f"layers.{int(match[1]) + 1}.downsample."
