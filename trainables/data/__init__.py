"""Data sets in COCO format: index, checks, masks, splits, the packed cache and augmentation."""

from trainables.data.batches.augment import build_augmentation
from trainables.data.batches.packed import PackedData, open_packed, pack
from trainables.data.coco import load_dataset
from trainables.data.dataset import Dataset
from trainables.data.folds.splits import Splits, make_splits
from trainables.data.pseudo import load_pseudo, write_pseudo

__all__ = [
    "Dataset",
    "PackedData",
    "Splits",
    "build_augmentation",
    "load_dataset",
    "load_pseudo",
    "make_splits",
    "open_packed",
    "pack",
    "write_pseudo",
]
