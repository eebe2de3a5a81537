"""Copy-paste: objects of rare classes from other training photos, pasted into a photo before it is augmented.

After Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation" (CVPR 2021),
with the classes drawn inversely to their frequency. An object is a connected
component of one class in a class map, with what else of the class is in its box.
"""

import math
import random
from collections.abc import Sequence

import cv2
import numpy as np

from trainables.data.annotations.masks import IGNORE_INDEX
from trainables.data.batches.packed import PackedData

POLICY = "copy_paste"
SHARE = 0.5  # the share of photos into which objects are pasted
MOST = 2  # the most objects that are pasted into a photo
SMALLEST, LARGEST = 16, 0.1  # limits of an object's size: in pixels, and as a share of the frame
SCALES = (0.6, 1.6)
RING = np.ones((3, 3), np.uint8)
TRIES = 4  # photos that are searched for an object of fitting size


class CopyPaste:
    """A source of objects from the photos `rows` of a packed cache, which are pasted into training photos.

    Only these rows are used, so that photos that are held out are never seen. `first_class` is the lowest class id that
    is pasted: 1 where class 0 is background. The classes of each photo are looked up once, from the class maps. It can
    be pickled.
    """

    def __init__(self, packed: PackedData, rows: Sequence[int], *, first_class: int, seed: int) -> None:
        self._packed, self._seed = packed, seed
        self._rows_with: dict[int, list[int]] = {}
        self._known: dict[tuple[int, int], list[list[int]]] = {}  # boxes of objects, by class and row
        for row in rows:
            pixels = np.bincount(packed.masks[row].reshape(-1), minlength=256)
            for class_id in np.flatnonzero(pixels[:IGNORE_INDEX] >= SMALLEST).tolist():
                if class_id >= first_class:
                    self._rows_with.setdefault(class_id, []).append(row)
        self.classes = tuple(sorted(self._rows_with))
        self.chances = [1 / len(self._rows_with[one]) for one in self.classes]  # relative to each other

    def __call__(self, image: np.ndarray, mask: np.ndarray, sample_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the photo uint8 (h, w, 3) and class map uint8 (h, w), with one or two objects pasted, or none.

        The same seeds give the same result. What a pasted object covers has its class, and no longer the one below.
        """
        rng = random.Random(self._seed << 32 | sample_seed)  # numpy's takes longer to seed than to paste
        if not self.classes or rng.random() >= SHARE:
            return image, mask
        image, mask = image.copy(), mask.copy()
        for class_id in rng.choices(self.classes, self.chances, k=rng.randint(1, MOST)):
            found = self._object(class_id, rng)
            if found is not None:
                paste(image, mask, *found, class_id, rng)
        return image, mask

    def _object(self, class_id: int, rng: random.Random) -> tuple[np.ndarray, np.ndarray] | None:
        """Return an object's photo uint8 (h, w, 3) and its pixels uint8 (h, w), 1 on it; None where none is fit."""
        rows = self._rows_with[class_id]
        for _ in range(TRIES):
            row = rng.choice(rows)
            boxes = self._boxes(class_id, row)
            if boxes:
                left, top, width, height = rng.choice(boxes)
                where = np.s_[top : top + height, left : left + width]
                return self._packed.images[row][where], (self._packed.masks[row][where] == class_id).view(np.uint8)
        return None

    def _boxes(self, class_id: int, row: int) -> list[list[int]]:
        """Return left, top, width and height of the class's objects of fit size in a photo, looked for once."""
        known = self._known.get((class_id, row))
        if known is None:
            own = (self._packed.masks[row] == class_id).view(np.uint8)
            _, _, boxes, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
            areas = boxes[1:, cv2.CC_STAT_AREA]
            known = boxes[1:][(areas >= SMALLEST) & (areas <= LARGEST * own.size), :4].tolist()
            self._known[class_id, row] = known
        return known


def paste(
    image: np.ndarray, mask: np.ndarray, photo: np.ndarray, pixels: np.ndarray, class_id: int, rng: random.Random
) -> None:
    """Paste an object into image and mask, in place, where chance puts it.

    The object is resized, mirrored at random, and has a soft edge. Its centre lies within the image; what reaches
    beyond is cut off.

    Args:
        image: The photo, uint8 (h, w, 3).
        mask: Its class map, uint8 (h, w).
        photo: The box around the object in its own photo, uint8 (h', w', 3).
        pixels: 1 on the object and 0 beside it, uint8 (h', w').
        class_id: The class of the object.
        rng: Draws size, side and position.
    """
    scale = math.exp(rng.uniform(*map(math.log, SCALES)))
    size = tuple(max(1, round(length * scale)) for length in pixels.shape[::-1])
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR)
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    if rng.random() < 0.5:
        photo, pixels = cv2.flip(photo, 1), cv2.flip(pixels, 1)
    top = rng.randrange(mask.shape[0]) - pixels.shape[0] // 2
    left = rng.randrange(mask.shape[1]) - pixels.shape[1] // 2
    inside = np.s_[max(0, -top) : mask.shape[0] - top, max(0, -left) : mask.shape[1] - left]
    photo, pixels = np.ascontiguousarray(photo[inside]), np.ascontiguousarray(pixels[inside])
    target = np.s_[max(0, top) : max(0, top) + pixels.shape[0], max(0, left) : max(0, left) + pixels.shape[1]]
    ground = image[target]
    covered = cv2.copyTo(photo, pixels, ground.copy())
    # The outermost ring of the object's own pixels is mixed: beyond it there is the ground of another photo.
    ring = np.flatnonzero(pixels - cv2.erode(pixels, RING, borderType=cv2.BORDER_REPLICATE))
    flat = covered.reshape(-1, 3)
    flat[ring] = (photo.reshape(-1, 3)[ring] >> 1) + (ground.reshape(-1, 3)[ring] >> 1)
    image[target] = covered
    np.copyto(mask[target], class_id, where=pixels.view(bool))
