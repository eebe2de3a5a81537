"""The bound on memory of `segvote ensemble`, and what may be spent on what."""

from trainables.errors import UserError

GIB = 1 << 30
OWN_BYTES = GIB // 2  # of the interpreter and all that it imports
# Masks, the image and the fold of each pixel, a candidate's maps while they are read: all that is whole in memory.
PIXEL_BYTES = 6


class MemoryBound:
    """How many bytes the candidates' maps and the selection may take each; all of them without a bound.

    Raises UserError where a holdout of so many pixels leaves nothing of it.
    """

    def __init__(self, gib: float | None, pixels: int) -> None:
        needed = OWN_BYTES + PIXEL_BYTES * pixels
        left = float("inf") if gib is None else gib * GIB - needed
        if left <= 0:
            raise UserError(
                f"--memory {gib:g}: the holdout's {pixels:,} pixels take {needed / GIB:.1f} GiB before any candidate "
                f"is looked at: give more than that"
            )
        self.maps = self.selection = left / 2
