"""The moving average of a model's weights, which is scored and kept in the place of the last ones."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(model: nn.Module, decay: float, steps_done: Callable[[], int]) -> AveragedModel:
    """Return a copy of `model` whose `update_parameters` after each step makes it the average of the weights so far.

    Step t moves the average by 1 - min(decay, (1 + t) / (10 + t)) towards the weights, as in TensorFlow: with `decay`
    alone, the first weights would outweigh all others in a run of fewer than 1 / (1 - decay) steps. Running statistics
    of norms are averaged too. Whole numbers, such as Swin's and BEiT's tables of indices, are copied: PyTorch's own
    function would cut fractions off an average of equal ones, such as 2.9999998.
    """

    @torch.no_grad()
    def update(average: Sequence[Tensor], current: Sequence[Tensor], _: Tensor) -> None:
        if average[0].is_floating_point():
            step = steps_done()
            torch._foreach_lerp_(average, current, 1 - min(decay, (1 + step) / (10 + step)))
        else:
            torch._foreach_copy_(average, current)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
