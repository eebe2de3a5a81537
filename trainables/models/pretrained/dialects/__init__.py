"""What other code bases call the tensors of a backbone. A new one is a file here, or a table in one of them."""

import re
from collections.abc import Iterable

from trainables.models.pretrained.dialects.base import Dialect
from trainables.models.pretrained.dialects.efficientnet_pytorch import EFFICIENTNET_PYTORCH
from trainables.models.pretrained.dialects.inverted_residuals import INVERTED_RESIDUALS
from trainables.models.pretrained.dialects.mmsegmentation import MMSEGMENTATION
from trainables.models.pretrained.dialects.original_code import AUTHORS
from trainables.models.pretrained.dialects.torchvision import TORCHVISION

DIALECTS = (*MMSEGMENTATION, *TORCHVISION, *INVERTED_RESIDUALS, *EFFICIENTNET_PYTORCH, *AUTHORS)

TIMM = Dialect("timm's", "")
"""Also the names in torchvision's ResNets, DenseNets and VGGs, and those of the authors of BEiT, DeiT, SegFormer and
DINOv2 without registers."""


def recognised(keys: Iterable[str]) -> Dialect:
    """Return the dialect of a backbone's `keys`, TIMM where no other's marker is among them."""
    keys = list(keys)
    return next((dialect for dialect in DIALECTS if any(re.search(dialect.marker, key) for key in keys)), TIMM)
