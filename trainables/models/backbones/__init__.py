"""Backbones: timm's models and SegFormer's as one interface that gives a pyramid of feature maps."""
