"""The photos that pools are recorded on, small and all in one file; and their shifted copies.

`python -m tests.benchmarks.recording.photos FILE` makes the file of the data sets beside the checkout.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"camvid": (96, 128), "garbage6": (96, 96), "recycle60": (96, 96)}  # (height, width)
KINDS = ("brightness", "blur", "noise", "jpeg", "haze")
STRENGTHS = 5


@dataclass(frozen=True, eq=False)
class Photos:
    """One data set: images uint8 (N, h, w, 3), masks uint8 (N, h, w), and of each photo its name and split."""

    images: np.ndarray
    masks: np.ndarray
    names: list[str]
    splits: list[str]
    class_names: list[str]

    def rows(self, *, prefix: str = "", split: str = "") -> list[int]:
        """Rows of the photos whose name begins with `prefix`, of the split `split` or of all; in order of name."""
        chosen = [
            row for row, name in enumerate(self.names) if name.startswith(prefix) and split in ("", self.splits[row])
        ]
        return sorted(chosen, key=lambda row: self.names[row])


def read_photos(path: Path) -> dict[str, Photos]:
    """Return the data sets in the file that `write_photos` wrote, by name."""
    with np.load(path, allow_pickle=False) as file:
        return {
            name: Photos(
                file[f"{name}/images"],
                file[f"{name}/masks"],
                *(file[f"{name}/{part}"].tolist() for part in ("names", "splits", "class_names")),
            )
            for name in SIZES
        }


def write_photos(data: Path, path: Path, cache: Path) -> None:
    """Write the data sets in the folder `data`, resized, to `path`; `cache` takes the packed caches."""
    from trainables.data import load_dataset, pack

    arrays = {}
    for name, size in SIZES.items():
        dataset = load_dataset(data / name, cache_dir=cache)
        packed = pack(dataset, size, cache)
        arrays[f"{name}/images"], arrays[f"{name}/masks"] = np.array(packed.images), np.array(packed.masks)
        arrays[f"{name}/names"] = np.array([Path(image.file_name).stem for image in dataset.images])
        arrays[f"{name}/splits"] = np.array([image.split for image in dataset.images])
        arrays[f"{name}/class_names"] = np.array(dataset.class_names)
    np.savez_compressed(path, **arrays)


def shifted(image: np.ndarray, kind: str, strength: int, seed: int) -> np.ndarray:
    """Return a copy of `image`, uint8 (h, w, 3), as a worse camera or worse weather would have it.

    `kind` is one of KINDS, `strength` from 0, the weakest, to STRENGTHS - 1. Only noise depends on `seed`.
    """
    if kind == "jpeg":
        return _compressed(image, quality=(40, 25, 15, 10, 6)[strength])
    values = image.astype(np.float32)
    if kind == "brightness":
        values *= (0.85, 0.7, 0.55, 0.4, 0.28)[strength]
    elif kind == "blur":
        from scipy.ndimage import gaussian_filter

        values = gaussian_filter(values, (*2 * ((0.5, 0.8, 1.2, 1.7, 2.4)[strength],), 0))
    elif kind == "noise":
        values += (6, 12, 20, 30, 42)[strength] * np.random.default_rng(seed).standard_normal(values.shape)
    else:  # haze: thicker towards the horizon, hence towards the top
        share = (0.15, 0.3, 0.45, 0.6, 0.72)[strength] * np.linspace(1.2, 0.8, len(values))[:, None, None]
        values += share * (np.float32([200, 205, 210]) - values)
    return values.round().clip(0, 255).astype(np.uint8)


def _compressed(image: np.ndarray, *, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


if __name__ == "__main__":
    import tempfile

    from tests.benchmarks.places import ROOT

    with tempfile.TemporaryDirectory() as cache:
        write_photos(ROOT.parent / "shared" / "data", Path(sys.argv[1]), Path(cache))
