"""Losses for segmentation, and the loss of a batch that is computed in several passes."""

from trainables.losses.losses import LOSSES, SegmentationLoss, build_loss, class_weights_from

__all__ = ["LOSSES", "SegmentationLoss", "build_loss", "class_weights_from"]
