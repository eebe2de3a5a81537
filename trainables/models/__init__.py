"""Segmentation models: `build_model` joins any head and backbone, and `HEADS` lists the heads."""

from trainables.models.heads import HEADS
from trainables.models.model import SegmentationModel, build_model

__all__ = ["HEADS", "SegmentationModel", "build_model"]
