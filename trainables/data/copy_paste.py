"""Copy-paste: objects of rare classes from other training photos, pasted into a photo before it is augmented.

After Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation" (CVPR 2021),
with the classes drawn inversely to their frequency. An object is a connected component of one class in a class map.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from trainables.data.masks import IGNORE_INDEX
from trainables.data.packed import PackedData

POLICY = "copy_paste"
SHARE = 0.5  # of the photos get anything pasted
MOST = 3  # objects a photo
SMALLEST, LARGEST = 16, 0.25  # of an object: pixels, and the share of the frame
SCALES = (0.6, 1.6)
SOFTNESS = 1.0  # pixels, sigma of the blurred edge
TRIES = 4  # photos that are looked at for an object of fit size


class CopyPaste:
    """Pastes objects of the photos `rows` of a packed cache, and of no others: what is held out is never seen.

    `first_class` is the lowest class id that is pasted: 1 where class 0 is background. Can be pickled. Which photo has
    which class is looked up once, from the class maps.
    """

    def __init__(self, packed: PackedData, rows: Sequence[int], *, first_class: int, seed: int) -> None:
        self._packed, self._seed = packed, seed
        self._rows_with: dict[int, list[int]] = {}
        for row in rows:
            pixels = np.bincount(packed.masks[row].reshape(-1), minlength=256)
            for class_id in np.flatnonzero(pixels[:IGNORE_INDEX] >= SMALLEST).tolist():
                if class_id >= first_class:
                    self._rows_with.setdefault(class_id, []).append(row)
        self.classes = tuple(sorted(self._rows_with))
        frequencies = np.array([len(self._rows_with[one]) for one in self.classes], float)
        self.chances = (1 / frequencies) / (1 / frequencies).sum() if self.classes else frequencies

    def __call__(self, image: np.ndarray, mask: np.ndarray, sample_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the photo uint8 (h, w, 3) and class map uint8 (h, w), with up to three objects pasted or none.

        The same seeds give the same result. What a pasted object covers has its class, and no longer the one below.
        """
        rng = np.random.default_rng((self._seed, sample_seed))
        if not self.classes or rng.random() >= SHARE:
            return image, mask
        image, mask = image.copy(), mask.copy()
        for class_id in rng.choice(self.classes, rng.integers(1, MOST + 1), p=self.chances).tolist():
            found = self._object(class_id, rng)
            if found is not None:
                paste(image, mask, *found, class_id, rng)
        return image, mask

    def _object(self, class_id: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
        """Return an object's photo uint8 (h, w, 3) and its pixels uint8 (h, w), 1 on it; None where none is fit."""
        rows = self._rows_with[class_id]
        for row in rng.choice(rows, min(TRIES, len(rows)), replace=False).tolist():
            own = (self._packed.masks[row] == class_id).astype(np.uint8)
            _, parts, boxes, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
            areas = boxes[:, cv2.CC_STAT_AREA]
            fit = 1 + np.flatnonzero((areas[1:] >= SMALLEST) & (areas[1:] <= LARGEST * own.size))
            if fit.size:
                part = int(rng.choice(fit))
                left, top, width, height = boxes[part, :4].tolist()
                where = np.s_[top : top + height, left : left + width]
                return np.asarray(self._packed.images[row][where]), (parts[where] == part).astype(np.uint8)
        return None


def paste(
    image: np.ndarray, mask: np.ndarray, photo: np.ndarray, pixels: np.ndarray, class_id: int, rng: np.random.Generator
) -> None:
    """Paste an object into image and mask, in place: resized, maybe mirrored, with a soft edge, at a random place.

    Its centre lies within the image; what reaches out is cut off.
    """
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    size = tuple(max(1, round(length * scale)) for length in pixels.shape[::-1])
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR)
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        photo, pixels = photo[:, ::-1], pixels[:, ::-1]
    top = int(rng.integers(0, mask.shape[0])) - pixels.shape[0] // 2
    left = int(rng.integers(0, mask.shape[1])) - pixels.shape[1] // 2
    inside = np.s_[max(0, -top) : mask.shape[0] - top, max(0, -left) : mask.shape[1] - left]
    photo, pixels = photo[inside], pixels[inside]
    target = np.s_[max(0, top) : max(0, top) + pixels.shape[0], max(0, left) : max(0, left) + pixels.shape[1]]
    # The edge is softened inwards: beyond it there is the ground of another photo.
    alpha = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), SOFTNESS)[..., None] * pixels[..., None]
    image[target] = np.round(alpha * photo + (1 - alpha) * image[target]).astype(np.uint8)
    mask[target][pixels == 1] = class_id
