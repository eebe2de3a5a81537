"""Segmentation models: `build_model` joins any head and backbone, `HEADS` lists the heads, and `check_weights`
looks for pretrained weights before a study.
"""

from trainables.models.heads import HEADS
from trainables.models.model import SegmentationModel, build_model
from trainables.models.pretrained.weights import check_weights

__all__ = ["HEADS", "SegmentationModel", "build_model", "check_weights"]
