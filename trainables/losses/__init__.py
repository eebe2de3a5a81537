"""Losses for segmentation, and the loss of a batch that is computed in several passes."""
