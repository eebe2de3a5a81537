"""Losses for segmentation by name: cross-entropy, focal, dice and Lovász-softmax, and weighted sums of them.

All are computed in float32 from one log-softmax, and p are the predicted probabilities. With p_t the probability of a
pixel's target class t and w_t that class's weight (1 without weights):

    ce     sum over pixels of -w_t log p_t, divided by the sum of w_t
    focal  the same of -w_t (1 - p_t)^2 log p_t   (Lin et al., 2017, equation 4, softmax form, gamma = 2)
    dice   of each photo 1 - 2 sum(p_c g_c) / (sum(p_c) + sum(g_c)) per class c over its pixels, g_c being 1 where the
           target is c; the mean, weighted by w_c, over the classes that occur in its target; of that the mean over the
           photos that have labelled pixels (Milletari et al., 2016, with plain sums instead of squares in the
           denominator as in Drozdzal et al., 2016)
    lovasz of each photo and class c sum(m_i g_i), where the m_i are its pixels' errors |g_c - p_c| from the largest to
           the smallest, and g_i is what the Jaccard distance (1 - IoU of class c) grows by if the i-th pixel is wrong,
           too, after the i - 1 before it; the means over classes and photos are those of dice (Berman et al., The
           Lovász-Softmax loss, 2018, definition 2)

Each is a sum over pixels or photos, divided by their total count. A batch that is computed in several passes
has the same loss and gradient as in one, if every pass divides by what the whole batch counts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.errors import UserError

FOCAL_GAMMA = 2


@dataclass(frozen=True)
class Term:
    """A loss as a sum over pixels or photos (`total`) and the count by which it is divided (`count`).

    `total` takes log-probabilities (N, C, H, W), an int64 target (N, H, W), class weights (C,) or None, and the id of
    ignored pixels; `count` takes all but the first. Both return scalars.
    """

    total: Callable[[Tensor, Tensor, Tensor | None, int], Tensor]
    count: Callable[[Tensor, Tensor | None, int], Tensor]


def _cross_entropy(log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    return F.nll_loss(log_probabilities, target, weight, ignore_index=ignore_index, reduction="sum")


def _focal(log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    surprise = F.nll_loss(log_probabilities, target, ignore_index=ignore_index, reduction="none")  # 0 where ignored
    pixels = (1 - torch.exp(-surprise)) ** FOCAL_GAMMA * surprise
    if weight is not None:
        pixels = pixels * _pixel_weights(target, weight, ignore_index)
    return pixels.sum()


def _dice(log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    valid = (target != ignore_index).unsqueeze(1)
    probabilities = log_probabilities.exp() * valid
    truth = torch.zeros_like(probabilities)
    truth.scatter_(1, target.unsqueeze(1).where(valid, 0), valid.to(truth.dtype))
    pixels = (2, 3)
    counts = truth.sum(pixels)  # (N, C)
    overlap = (probabilities * truth).sum(pixels)
    score = 2 * overlap / (probabilities.sum(pixels) + counts).clamp_min(1e-7)
    weights = (counts > 0).to(score.dtype) * (1 if weight is None else weight)
    return (((1 - score) * weights).sum(1) / _or_one(weights.sum(1))).sum()


def _lovasz(log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    valid = (target != ignore_index).flatten(1).unsqueeze(1)
    probabilities = log_probabilities.exp().flatten(2)  # (N, C, pixels)
    truth = torch.zeros_like(probabilities)
    truth.scatter_(1, target.flatten(1).unsqueeze(1).where(valid, 0), valid.to(truth.dtype))
    # Ignored pixels have no error: they come last, where they add nothing to the sum.
    errors, order = ((truth - probabilities).abs() * valid).sort(dim=2, descending=True)
    truth = truth.gather(2, order)
    counts = truth.sum(2, keepdim=True)
    missed = truth.cumsum(2)
    jaccard = 1 - (counts - missed) / (counts + (1 - truth).cumsum(2))
    growth = torch.diff(jaccard, dim=2, prepend=torch.zeros_like(counts))
    weights = (counts[:, :, 0] > 0).to(truth.dtype) * (1 if weight is None else weight)
    return (((errors * growth).sum(2) * weights).sum(1) / _or_one(weights.sum(1))).sum()


def _weight_of_pixels(target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    pixels = (target != ignore_index) if weight is None else _pixel_weights(target, weight, ignore_index)
    return pixels.sum().float()


def _labelled_photos(target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    return (target != ignore_index).flatten(1).any(1).sum().float()


CROSS_ENTROPY = Term(_cross_entropy, _weight_of_pixels)
FOCAL = Term(_focal, _weight_of_pixels)
DICE = Term(_dice, _labelled_photos)
LOVASZ = Term(_lovasz, _labelled_photos)

LOSSES: dict[str, dict[Term, float]] = {
    "ce": {CROSS_ENTROPY: 1.0},
    "focal": {FOCAL: 1.0},
    "dice": {DICE: 1.0},
    "ce_dice_1_3": {CROSS_ENTROPY: 0.25, DICE: 0.75},
    "ce_dice_3_1": {CROSS_ENTROPY: 0.75, DICE: 0.25},
    "ce_focal_dice": {CROSS_ENTROPY: 1 / 3, FOCAL: 1 / 3, DICE: 1 / 3},
    "lovasz": {LOVASZ: 1.0},
    "ce_lovasz": {CROSS_ENTROPY: 0.5, LOVASZ: 0.5},
}
"""The terms of each loss and their shares, which sum to 1 so that a learning rate means the same for all."""


class SegmentationLoss(nn.Module):
    """A weighted sum of terms. Pixels whose target is `ignore_index` count in none of them."""

    def __init__(self, terms: dict[Term, float], *, class_weights: Tensor | None, ignore_index: int) -> None:
        super().__init__()
        self.terms = terms
        self.ignore_index = ignore_index
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor, counts: Tensor | None = None) -> Tensor:
        """Return the float32 scalar loss of logits (N, C, H, W) and target (N, H, W), int64 or uint8.

        With `counts`, which are those of a whole batch, the photos are a part of that batch, and the result is their
        part of its loss. Where every pixel is ignored, the loss and its gradient are 0.
        """
        with torch.autocast(logits.device.type, enabled=False):
            log_probabilities = F.log_softmax(logits.float(), dim=1)
            target = target.long()
            counts = self.counts(target) if counts is None else counts
            parts = [
                share * term.total(log_probabilities, target, self.class_weights, self.ignore_index) / count
                for (term, share), count in zip(self.terms.items(), counts)
            ]
            return torch.stack(parts).sum()

    def counts(self, target: Tensor) -> Tensor:
        """Return the count of each term over target (N, H, W), float32 (terms,); 1 where the count is 0."""
        target = target.long()
        found = [term.count(target, self.class_weights, self.ignore_index) for term in self.terms]
        return _or_one(torch.stack(found))


def build_loss(
    name: str, *, num_classes: int, class_weights: Tensor | None = None, ignore_index: int = 255
) -> SegmentationLoss:
    """Return a loss by its name.

    Args:
        name: A key of LOSSES.
        num_classes: The number of classes.
        class_weights: The weight of each class, (num_classes,): of its pixels in ce and focal, of the class in dice.
        ignore_index: Pixels with this target do not count.

    Raises:
        UserError: The name is unknown, or the weights have another length or are not finite and above 0.
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


def _or_one(total: Tensor) -> Tensor:
    """Return `total`, or 1 where it is 0, so that an empty sum divided by it is 0 rather than NaN."""
    return torch.where(total > 0, total, 1)
