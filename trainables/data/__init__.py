"""Data sets in COCO format: index, checks, masks, splits, the packed cache and augmentation."""

from trainables.data.augment import build_augmentation
from trainables.data.coco import Dataset, load_dataset
from trainables.data.packed import PackedData, open_packed, pack
from trainables.data.pseudo import load_pseudo, write_pseudo
from trainables.data.splits import Splits, make_splits

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
