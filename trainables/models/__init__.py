"""Any head on any backbone: `build_model` joins them, `HEADS` lists the heads, `check_weights` looks before a study."""

from trainables.models.heads import HEADS
from trainables.models.model import SegmentationModel, build_model
from trainables.models.pretrained.weights import check_weights

__all__ = ["HEADS", "SegmentationModel", "build_model", "check_weights"]
