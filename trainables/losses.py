"""Losses for segmentation by name: cross-entropy, focal and dice, and weighted sums of them.

All are computed in float32 from one log-softmax, p being the predicted probabilities. With p_t the probability of a
pixel's target class t and w_t that class's weight (1 without weights):

    ce     sum over pixels of -w_t log p_t, divided by the sum of w_t
    focal  the same of -w_t (1 - p_t)^2 log p_t   (Lin et al., 2017, equation 4, softmax form, gamma = 2)
    dice   1 - 2 sum(p_c g_c) / (sum(p_c) + sum(g_c)) per class c over all pixels of the batch, g_c being 1 where the
           target is c; the mean, weighted by w_c, over the classes that occur in the target (Milletari et al., 2016,
           with plain sums instead of squares in the denominator as in Drozdzal et al., 2016)
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.errors import UserError

Term = Callable[[Tensor, Tensor, Tensor | None, int], Tensor]

FOCAL_GAMMA = 2


def cross_entropy(log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """Return the scalar cross-entropy of log-probabilities (N, C, H, W) and an int64 target (N, H, W)."""
    total = F.nll_loss(log_probabilities, target, weight, ignore_index=ignore_index, reduction="sum")
    return total / _total_weight(target, weight, ignore_index)


def focal(log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """Return the scalar focal loss of log-probabilities (N, C, H, W) and an int64 target (N, H, W)."""
    surprise = F.nll_loss(log_probabilities, target, ignore_index=ignore_index, reduction="none")  # 0 where ignored
    pixels = (1 - torch.exp(-surprise)) ** FOCAL_GAMMA * surprise
    if weight is not None:
        pixels = pixels * _pixel_weights(target, weight, ignore_index)
    return pixels.sum() / _total_weight(target, weight, ignore_index)


def dice(log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """Return the scalar dice loss of log-probabilities (N, C, H, W) and an int64 target (N, H, W)."""
    valid = (target != ignore_index).unsqueeze(1)
    probabilities = log_probabilities.exp() * valid
    truth = torch.zeros_like(probabilities)
    truth.scatter_(1, target.unsqueeze(1).where(valid, 0), valid.to(truth.dtype))
    pixels = (0, 2, 3)
    counts = truth.sum(pixels)
    overlap = (probabilities * truth).sum(pixels)
    score = 2 * overlap / (probabilities.sum(pixels) + counts).clamp_min(1e-7)
    weights = (counts > 0).to(score.dtype) * (1 if weight is None else weight)
    return ((1 - score) * weights).sum() / _or_one(weights.sum())


LOSSES: dict[str, dict[Term, float]] = {
    "ce": {cross_entropy: 1.0},
    "focal": {focal: 1.0},
    "dice": {dice: 1.0},
    "ce_dice_1_3": {cross_entropy: 0.25, dice: 0.75},
    "ce_dice_3_1": {cross_entropy: 0.75, dice: 0.25},
    "ce_focal_dice": {cross_entropy: 1 / 3, focal: 1 / 3, dice: 1 / 3},
}
"""The terms of each loss and their shares, which sum to 1 so that a learning rate means the same for all."""


class SegmentationLoss(nn.Module):
    """A weighted sum of terms. Pixels whose target is `ignore_index` count in none of them."""

    def __init__(self, terms: dict[Term, float], *, class_weights: Tensor | None, ignore_index: int) -> None:
        super().__init__()
        self.terms = terms
        self.ignore_index = ignore_index
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the float32 scalar loss of logits (N, C, H, W) and target (N, H, W), int64 or uint8.

        Where every pixel is ignored it is 0, and its gradient is 0 too.
        """
        with torch.autocast(logits.device.type, enabled=False):
            log_probabilities = F.log_softmax(logits.float(), dim=1)
            target = target.long()
            parts = [
                share * term(log_probabilities, target, self.class_weights, self.ignore_index)
                for term, share in self.terms.items()
            ]
            return torch.stack(parts).sum()


def build_loss(
    name: str, *, num_classes: int, class_weights: Tensor | None = None, ignore_index: int = 255
) -> SegmentationLoss:
    """Return the loss `name`, a key of LOSSES.

    `class_weights` (num_classes,) weigh pixels in ce and focal, classes in dice. Raises UserError for an unknown name
    and for weights of another length, or not finite and above 0.
    """
    if name not in LOSSES:
        raise UserError(f"unknown loss {name!r}: choose one of {', '.join(LOSSES)}")
    if class_weights is not None:
        class_weights = torch.as_tensor(class_weights, dtype=torch.float32)
        if class_weights.shape != (num_classes,):
            raise UserError(f"class_weights has shape {tuple(class_weights.shape)}, but must have ({num_classes},)")
        if not (class_weights.isfinite() & (class_weights > 0)).all():
            raise UserError(f"class_weights must all be finite and above 0, but are {class_weights.tolist()}")
    return SegmentationLoss(LOSSES[name], class_weights=class_weights, ignore_index=ignore_index)


def class_weights_from(counts: Tensor) -> Tensor:
    """Return float32 class weights (C,) from pixel counts (C,): inverse square roots of the frequencies, mean 1.

    Classes that never occur weigh 1, so that the mean over those that do is 1 as well.
    """
    counts = torch.as_tensor(counts, dtype=torch.float64)
    present = counts > 0
    weights = torch.ones_like(counts)
    raw = counts[present].rsqrt()
    weights[present] = raw / raw.mean()
    return weights.float()


def _pixel_weights(target: Tensor, weight: Tensor, ignore_index: int) -> Tensor:
    valid = target != ignore_index
    return weight[target.where(valid, 0)] * valid


def _total_weight(target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    pixels = (target != ignore_index) if weight is None else _pixel_weights(target, weight, ignore_index)
    return _or_one(pixels.sum())


def _or_one(total: Tensor) -> Tensor:
    """Where nothing counts, divide the sum of nothing by 1: 0 instead of NaN, and no wait for the device."""
    return torch.where(total > 0, total, 1)
