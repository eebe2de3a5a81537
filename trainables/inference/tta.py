"""Views: how often and how a model looks at a photo before it decides (test-time augmentation, sliding window)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from trainables.errors import UserError

SCALES = (0.1, 4.0)
OVERLAPS = (0.0, 0.9)


@dataclass(frozen=True)
class Views:
    """What is averaged within a model. `Views()` is one look at the photo, resized as for training.

    `scales` are factors of the size that the model looks at: the training size or, with `window`, the photo's own;
    `flip` adds the mirror image of each. With `window`, the model looks at windows of its training size, which overlap
    by at least the share `overlap` of it.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: bool = False
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if not self.scales or len(set(self.scales)) < len(self.scales):
            raise UserError(f"--tta scales={_listed(self.scales)}: name at least one scale, and none twice")
        for scale in self.scales:
            if not SCALES[0] <= scale <= SCALES[1]:
                raise UserError(
                    f"--tta scales={_listed(self.scales)}: {scale:g} is not from {SCALES[0]} to {SCALES[1]}"
                )
        if not OVERLAPS[0] <= self.overlap <= OVERLAPS[1]:
            raise UserError(f"--overlap {self.overlap:g} is not from {OVERLAPS[0]:g} to {OVERLAPS[1]:g}")

    @classmethod
    def parse(cls, words: Sequence[str], *, window: bool = False, overlap: float = 0.5) -> "Views":
        """From `--tta scales=0.75,1.0,1.25 flip`. Raises UserError for other words, and an overlap without windows."""
        if overlap != cls.overlap and not window:
            raise UserError(f"--overlap {overlap:g} is that of windows: give --window, too")
        scales, flip = (1.0,), False
        for word in words:
            key, _, values = word.partition("=")
            if word == "flip":
                flip = True
            elif key == "scales":
                scales = _numbers(word, values)
            else:
                raise UserError(f"--tta {word}: say scales=0.75,1.0,1.25, or flip, or both")
        return cls(scales, flip, window, overlap)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Views":
        return cls(**{**values, "scales": tuple(values["scales"])})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "scales": list(self.scales)}

    @property
    def plain(self) -> bool:
        """Whether there is nothing to average."""
        return self.scales == (1.0,) and not self.flip and not self.window

    def __str__(self) -> str:
        parts = [f"scales {_listed(self.scales)}"] if self.scales != (1.0,) else []
        parts += ["flip"] if self.flip else []
        parts += [f"windows overlapping by {self.overlap:g}"] if self.window else []
        return ", ".join(parts) or "one view"


def window_corners(size: tuple[int, int], window: tuple[int, int], overlap: float) -> list[tuple[int, int]]:
    """The upper left corners (y, x) of as few evenly spread windows (h, w) as cover `size` (H, W) with that overlap.

    `size` is at least `window` in both directions.
    """
    axes = []
    for length, side in zip(size, window):
        step = max(1, round(side * (1 - overlap)))
        count = -(-(length - side) // step) + 1
        axes.append(np.linspace(0, length - side, count).round().astype(int).tolist())
    return list(product(*axes))


def window_weights(window: tuple[int, int]) -> np.ndarray:
    """How much each pixel of a window counts, float32 (h, w): falling linearly from its middle to its edges.

    Where windows overlap, the one in whose middle a pixel lies has the most to say about it, since at its edges a model
    sees one side only.
    """
    ramps = [1 - np.abs((np.arange(side) + 0.5) / side * 2 - 1) for side in window]
    return np.maximum(np.outer(*ramps), 1e-3).astype(np.float32)


def _numbers(word: str, values: str) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values.split(","))
    except ValueError:
        raise UserError(f"--tta {word}: scales are numbers with commas between, as in scales=0.75,1.0,1.25") from None


def _listed(scales: Sequence[float]) -> str:
    return ",".join(f"{scale:g}" for scale in scales)
