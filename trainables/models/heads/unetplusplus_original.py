"""U-Net++ as Zhou et al. (2018, 2020) drew it: nested skip connections, deep supervision, no norms."""

import math

import torch
from torch import Tensor, nn

from trainables.models.expansive_path import up_convolution
from trainables.models.heads.base import Head, Pyramid
from trainables.models.layers import resize, two_convolutions_with_bias


class OriginalUNetPlusPlusHead(Head):
    """Nodes X(i, j), level i from the finest and column j, as wide as map i; its own backbone is `unet_encoder_32`.

    X(i, 0) is the backbone's map, X(i, j) two 3x3 convolutions of X(i, 0) to X(i, j - 1) and of X(i + 1, j - 1) doubled
    by a transposed convolution (equation 1). Each X(0, j) is classified and has weight 1 in training; the answer
    is the average of their probabilities ("accurate mode").
    """

    taps = None
    full_resolution = True
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        widths = pyramid.channels
        places = [(level, column) for column in range(1, len(widths)) for level in range(len(widths) - column)]
        self.ups = nn.ModuleDict({_name(i, j): up_convolution(widths[i + 1], widths[i]) for i, j in places})
        self.nodes = nn.ModuleDict(
            {_name(i, j): two_convolutions_with_bias((j + 1) * widths[i], widths[i]) for i, j in places}
        )
        self.dropout = nn.Dropout2d(dropout)
        self.classifiers = nn.ModuleList(nn.Conv2d(widths[0], num_classes, kernel_size=1) for _ in widths[1:])

    def forward(self, features: list[Tensor]) -> Tensor:
        outputs = torch.stack([logits.log_softmax(1) for logits in self._outputs(features)])
        return outputs.logsumexp(0) - math.log(len(outputs))

    def training_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        *others, last = self._outputs(features)
        return [(1.0, logits) for logits in (last, *others)]

    def _outputs(self, features: list[Tensor]) -> list[Tensor]:
        """Return the logits of X(0, 1), X(0, 2), … to the last column."""
        *finer, deepest = features
        rows = [[x] for x in (*finer, self.dropout(deepest))]  # rows[i] is X(i, 0), X(i, 1), …
        for column in range(1, len(rows)):
            for level in range(len(rows) - column):
                row, below = rows[level], rows[level + 1][column - 1]
                up = resize(self.ups[_name(level, column)](below), row[0])
                row.append(self.nodes[_name(level, column)](torch.cat([*row, up], dim=1)))
        return [classifier(x) for classifier, x in zip(self.classifiers, rows[0][1:])]


def _name(level: int, column: int) -> str:
    return f"{level}_{column}"
