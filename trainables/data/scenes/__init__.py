"""Scenes: which photos of a data set are not independent of each other, as they say themselves or as is found."""

from trainables.data.scenes.apart import Apart, rows_apart
from trainables.data.scenes.declared import declared_scenes
from trainables.data.scenes.finding import find_scenes
from trainables.data.scenes.overlap import Overlap
from trainables.data.scenes.scenes import Scenes

__all__ = ["Apart", "Overlap", "Scenes", "declared_scenes", "find_scenes", "rows_apart"]
