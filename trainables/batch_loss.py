"""How a batch's loss is made up of its labelled photos and those with pseudo-labels."""

import torch
from torch import Tensor

Part = tuple[slice | Tensor, float]
"""Which photos of a pass, as an index, and the share that the mean loss over their pixels has in the batch's loss."""


def loss_parts(photos: int, micro_batch: int, pseudo: Tensor | None, weight: float) -> list[list[Part]]:
    """The parts of each pass of at most `micro_batch` of the batch's `photos`; the shares of all sum to 1.

    With n labelled photos, m that `pseudo`, bool (photos,), marks, and L the loss over one of the two parts, the loss
    of a batch is (n L(labelled) + weight m L(pseudo)) / (n + weight m), and in several passes the sum of that over the
    passes, with the whole batch's n and m below the line. A part without photos is left out.
    """
    if pseudo is None:
        return [[(slice(None), min(micro_batch, photos - start) / photos)] for start in range(0, photos, micro_batch)]
    marked = int(pseudo.sum())
    total = photos - marked + weight * marked
    return [
        [
            (index, factor * len(index) / total)
            for index, factor in ((torch.nonzero(~some)[:, 0], 1.0), (torch.nonzero(some)[:, 0], weight))
            if len(index)
        ]
        for some in pseudo.split(micro_batch)
    ]
