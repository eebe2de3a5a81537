"""The loss of a batch that is computed in several passes, some of whose photos may have pseudo-labels."""

import torch
from torch import Tensor

from trainables.losses.losses import SegmentationLoss


class BatchLoss:
    """The loss of one batch in parts, one for each pass, which sum to what a single pass over the batch would give.

    With n photos that have labels, m photos that `pseudo`, bool (N,), marks, and L the loss over all photos of one
    kind, the loss of a batch is (n L(labelled) + weight m L(pseudo)) / (n + weight m). The counts of each kind (see
    SegmentationLoss.counts) are taken from the whole batch's `masks`, (N, H, W), so that neither the loss nor its
    gradient depends on the size of a pass.
    """

    def __init__(
        self, loss: SegmentationLoss, masks: Tensor, *, pseudo: Tensor | None = None, pseudo_weight: float = 1.0
    ) -> None:
        self._loss, self._masks = loss, masks
        marks = torch.zeros(len(masks), dtype=torch.bool) if pseudo is None else pseudo.cpu()
        factors = [(photos, factor) for photos, factor in ((~marks, 1.0), (marks, pseudo_weight)) if photos.any()]
        total = sum(factor * int(photos.sum()) for photos, factor in factors)
        self._kinds = [
            (photos, factor * int(photos.sum()) / total, loss.counts(masks if photos.all() else masks[photos]))
            for photos, factor in factors
        ]

    def part(self, logits: Tensor, photos: slice) -> Tensor:
        """Return the scalar part of the pass over `photos`, whose logits are (n, C, H, W)."""
        masks = self._masks[photos]
        parts = []
        for of_kind, share, counts in self._kinds:
            some = of_kind[photos]
            if some.all():  # without an index, which would copy
                parts.append(share * self._loss(logits, masks, counts))
            elif some.any():
                index = some.nonzero()[:, 0]
                parts.append(share * self._loss(logits[index], masks[index], counts))
        return torch.stack(parts).sum()
