"""The bound on memory of `segvote ensemble`, and how it is divided."""

from trainables.errors import UserError

GIB = 1 << 30
OWN_BYTES = GIB // 2  # what the interpreter and the imported libraries take
# The masks, the image and the fold of each pixel, and a candidate's maps while they are read.
PIXEL_BYTES = 6


class MemoryBound:
    """How many bytes the candidates' maps and the selection may take each; infinite without a bound.

    Raises UserError where a holdout of so many pixels leaves none of the memory.
    """

    def __init__(self, gib: float | None, pixels: int) -> None:
        needed = OWN_BYTES + PIXEL_BYTES * pixels
        left = float("inf") if gib is None else gib * GIB - needed
        if left <= 0:
            raise UserError(
                f"--memory {gib:g}: the holdout's {pixels:,} pixels take {needed / GIB:.1f} GiB before any candidate "
                f"is read: give a larger bound"
            )
        self.maps = self.selection = left / 2
