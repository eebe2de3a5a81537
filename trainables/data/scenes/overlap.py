"""What training and holdout have in common: how many scenes each has, and how many of them the other has, too."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trainables.data.scenes.scenes import Scenes


@dataclass(frozen=True)
class Overlap:
    """Numbers of scenes and photos; `shared_photos` are those of the holdout whose scene training has, too.

    `reasons` counts the photos of the whole data set that belong to others, by what showed it.
    """

    training_scenes: int
    training_photos: int
    holdout_scenes: int
    holdout_photos: int
    shared_scenes: int
    shared_photos: int
    reasons: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, scenes: Scenes, training: Sequence[int], holdout: Sequence[int]) -> "Overlap":
        """Return what the two lists of rows have in common."""
        trained = {scenes.of_row[row] for row in training}
        held = {scenes.of_row[row] for row in holdout}
        return cls(
            training_scenes=len(trained),
            training_photos=len(training),
            holdout_scenes=len(held),
            holdout_photos=len(holdout),
            shared_scenes=len(trained & held),
            shared_photos=sum(scenes.of_row[row] in trained for row in holdout),
            reasons=scenes.reasons,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "reasons": [list(one) for one in self.reasons]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Overlap":
        """Return what `to_dict` wrote."""
        return cls(**{**values, "reasons": tuple((reason, number) for reason, number in values["reasons"])})
