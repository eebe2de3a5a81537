"""Test-time augmentation: the scales, mirror images and sliding windows whose probabilities a model averages."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from trainables.errors import UserError

SCALES = (0.1, 4.0)
OVERLAPS = (0.0, 0.9)


@dataclass(frozen=True)
class TestTimeAugmentation:
    """The views of a photo whose class probabilities are averaged within one model.

    `TestTimeAugmentation()` stands for a single view: the photo resized as for training. `scales` are factors of the
    size at which the photo is predicted: the training size or, with `window`, the photo's own size. `flip` adds the
    mirror image of each. With `window`, the model predicts windows of its training size that overlap by at least the
    share `overlap` of that size.
    """

    __test__ = False  # pytest would otherwise collect it, because its name begins with Test

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
    def parse(cls, words: Sequence[str], *, window: bool = False, overlap: float = 0.5) -> "TestTimeAugmentation":
        """Return the views that the words of `--tta scales=0.75,1.0,1.25 flip` ask for.

        Raises UserError for other words, and for an overlap without windows.
        """
        if overlap != cls.overlap and not window:
            raise UserError(f"--overlap {overlap:g} is for windows: give --window, too")
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
    def from_dict(cls, values: dict[str, Any]) -> "TestTimeAugmentation":
        """Return the views that `to_dict` described."""
        return cls(**{**values, "scales": tuple(values["scales"])})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "scales": list(self.scales)}

    @property
    def plain(self) -> bool:
        """Return whether there is a single view, so that nothing is averaged."""
        return self.scales == (1.0,) and not self.flip and not self.window

    def __str__(self) -> str:
        parts = [f"scales {_listed(self.scales)}"] if self.scales != (1.0,) else []
        parts += ["flip"] if self.flip else []
        parts += [f"windows overlapping by {self.overlap:g}"] if self.window else []
        return ", ".join(parts) or "one view"


def window_corners(size: tuple[int, int], window: tuple[int, int], overlap: float) -> list[tuple[int, int]]:
    """Return the upper left corners (y, x) of the fewest evenly spaced windows (h, w) that cover `size` (H, W).

    Neighbouring windows overlap by at least the share `overlap` of their side. `size` is at least `window` in both
    directions.
    """
    axes = []
    for length, side in zip(size, window):
        step = max(1, round(side * (1 - overlap)))
        count = -(-(length - side) // step) + 1
        axes.append(np.linspace(0, length - side, count).round().astype(int).tolist())
    return list(product(*axes))


def window_weights(window: tuple[int, int]) -> np.ndarray:
    """Return the weight of each pixel of a window, float32 (h, w), which falls linearly from its middle to its edges.

    Where windows overlap, the window in whose middle a pixel lies counts most for it, since near the edge of a window
    the model sees the surroundings on one side only.
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
