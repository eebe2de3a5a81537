"""The requests of a served model: images in memory, or photo files, as programs and HTTP requests send them."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.photo_list import Photo
from trainables.data.photos.photo_files import PhotoError, inspect_header
from trainables.errors import UserError

COLUMNS = ("path", "image")
LONGEST_PATH = 4095  # characters, on Linux
URL_SAFE = str.maketrans("-_", "+/")
EXPECTED = (
    "send one image (H, W, 3), several (N, H, W, 3), a list of images, paths, or a column "
    "'path' of paths or 'image' of base64-encoded photo files"
)


@dataclass(frozen=True)
class Images:
    """The images of a request: `arrays` uint8 (H, W, 3), RGB, or `photos` on disk, but never both.

    `form` is the form of the request and of the answer: one image, a stack of equal sizes, or a list.
    """

    arrays: Sequence[np.ndarray] = ()
    photos: Sequence[Photo] = ()
    form: str = "list"

    def __len__(self) -> int:
        return len(self.arrays) or len(self.photos)

    def answer(self, class_maps: list[np.ndarray]) -> Any:
        """Return class maps uint8 (H, W) in the form of the request: (H, W), (N, H, W), or the list."""
        if self.form == "one":
            return class_maps[0]
        return np.stack(class_maps) if self.form == "stack" else class_maps


def read_images(asked: Any, directory: Path) -> Images:
    """Return the images of a request. Encoded photo files are written to `directory`.

    A photo file is always predicted as a file, however it was sent, because members were trained on photos that were
    decoded at the size of the model's input. Raises UserError for a request that holds no image.
    """
    columns = _columns(asked)
    images = _from_values(asked) if columns is None else _from_table(columns, directory)
    if len(images) == 0:
        raise UserError(f"the request holds no image: {EXPECTED}")
    return images


def _from_table(columns: Mapping[str, list[Any]], directory: Path) -> Images:
    known = [name for name in COLUMNS if name in columns]
    if len(known) != 1:
        raise UserError(f"the request has the columns {', '.join(map(str, columns)) or 'none'}: {EXPECTED}")
    values = columns[known[0]]
    if known[0] == "path":
        return Images(photos=[_photo(value, number) for number, value in enumerate(values, start=1)])
    if not all(isinstance(value, str | bytes) for value in values):
        return _from_values(values)
    directory.mkdir(parents=True, exist_ok=True)
    files = [_write(value, directory / f"image-{number}") for number, value in enumerate(values, start=1)]
    return Images(photos=[_photo(file, number) for number, file in enumerate(files, start=1)])


def _columns(asked: Any) -> dict[str, list[Any]] | None:
    """Return the columns of a data frame, a mapping or a list of rows; None for anything else."""
    if isinstance(asked, Mapping):
        return {name: _listed(values) for name, values in asked.items()}
    if hasattr(asked, "columns"):  # a pandas data frame; pandas need not be imported for it
        return {name: asked[name].tolist() for name in asked.columns}
    if isinstance(asked, Sequence) and asked and all(isinstance(row, Mapping) for row in asked):
        rows = [{name: _scalar(value) for name, value in row.items()} for row in asked]
        return {name: [row.get(name) for row in rows] for name in rows[0]}
    return None


def _from_values(asked: Any) -> Images:
    if isinstance(asked, str | Path):
        return Images(photos=[_photo(asked, 1)], form="one")
    if isinstance(asked, np.ndarray) and asked.dtype.kind in "iufb" and asked.ndim > 1:
        arrays = [_pixels(one) for one in (asked if asked.ndim == 4 else [asked])]
        return Images(arrays, form="stack" if asked.ndim == 4 else "one")
    values = _listed(asked) if isinstance(asked, np.ndarray | Iterable) else []
    if all(isinstance(value, str | Path) for value in values):
        return Images(photos=[_photo(value, number) for number, value in enumerate(values, start=1)])
    return Images([_pixels(_array(value, number)) for number, value in enumerate(values, start=1)])


def _array(value: Any, number: int) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise UserError(f"image {number} of the request has rows of unequal lengths: {EXPECTED}") from error


def _listed(values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        return list(np.atleast_1d(values)) if values.dtype.kind not in "US" else np.atleast_1d(values).tolist()
    return [values] if isinstance(values, str | bytes) else list(values)


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _pixels(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"an image has the shape {image.shape}, but must be (H, W, 3), RGB: {EXPECTED}")
    if image.dtype != np.uint8:
        if image.dtype.kind not in "iu" or image.min() < 0 or image.max() > 255:
            raise UserError(f"an image's pixels are {image.dtype}, but must be whole numbers from 0 to 255")
        image = image.astype(np.uint8)
    return image


def _write(content: str | bytes, path: Path) -> Path:
    try:
        data = content if isinstance(content, bytes) else _decode(content)
    except (binascii.Error, ValueError) as error:
        raise UserError(
            f"{path.name} of the request is not base64 ({error}): send the bytes of a photo file"
        ) from error
    path.write_bytes(data)
    return path


def _decode(text: str) -> bytes:
    """Return the bytes of base64 as programs write it: in lines, after data:…;base64, and with - and _ for + and /."""
    head, comma, rest = text.partition(",")
    text = rest if comma and head.startswith("data:") else text
    return base64.b64decode("".join(text.split()).translate(URL_SAFE), validate=True)


def _photo(path: str | Path, number: int) -> Photo:
    if not isinstance(path, str | Path):
        raise UserError(f"path {number} of the request is {path!r}: give the path of a photo")
    if len(str(path)) > LONGEST_PATH or str(path).startswith("data:"):
        raise UserError(
            f"path {number} of the request is no path, but a text of {len(str(path))} characters: base64 goes into a "
            'column \'image\', as in {"dataframe_split": {"columns": ["image"], "data": [["…"]]}}'
        )
    path = Path(path)
    try:
        return Photo(path, path.name, number, *inspect_header(path).shown_size)
    except PhotoError as error:
        raise UserError(f"{path} {error}") from error
    except ValueError as error:  # a null byte or half of a surrogate pair, which no file name can hold
        raise UserError(f"path {number} of the request is not a valid file name ({error}): {str(path)!r}") from error
