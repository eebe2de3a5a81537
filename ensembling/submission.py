"""The submission: a CSV `image_id,PredictionString` with the class ids of every photo's class map, made 256 x 256."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 256  # pixels
HEADER = ["image_id", "PredictionString"]
LARGEST = 254  # class id; 255 is "ignore"
_WORDS = np.array([str(class_id) for class_id in range(256)], dtype="S3")


class SubmissionError(ValueError):
    """A submission file is not what it must be; the message names file and row."""


def resize_map(class_map: np.ndarray) -> np.ndarray:
    """uint8 (256, 256) from (H, W): of each cell the pixel at its upper left corner, OpenCV's INTER_NEAREST.

    That is how albumentations' Resize, which the competition's own code uses, makes masks smaller.
    """
    return cv2.resize(np.ascontiguousarray(class_map), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


class SubmissionWriter:
    """Writes row by row under a temporary name; the file is there when the block succeeds, and only then."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")

    def add(self, image_id: str, class_map: np.ndarray) -> None:
        """A class map uint8 (H, W), at its own size."""
        self.add_ids(image_id, resize_map(class_map))

    def add_ids(self, image_id: str, ids: np.ndarray) -> None:
        """Class ids uint8 that have the submission's size already, in row-major order."""
        words = _WORDS[np.asarray(ids, np.uint8).reshape(-1)]
        self._rows.writerow([image_id, b" ".join(words.tolist()).decode("ascii")])

    def __enter__(self) -> "SubmissionWriter":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(HEADER)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if kind is None:
                os.replace(self._temporary, self._path)
        finally:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


class SubmissionFile:
    """A submission to read, one row in memory at a time; `image_ids` are in the order of the file.

    Raises SubmissionError where it is no submission, or names an image twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._places: dict[str, tuple[int, int]] = {}
        with self.path.open("rb") as file:
            start = self._read_header(file.readline())
            for number, line in enumerate(file, start=2):
                if line.strip():
                    self._note(line, number, start)
                start += len(line)

    @property
    def image_ids(self) -> tuple[str, ...]:
        return tuple(self._places)

    def ids(self, image_id: str) -> np.ndarray:
        """The class ids of an image, uint8 (n,). Raises SubmissionError where they are no whole numbers up to 254."""
        start, length = self._places[image_id]
        with self.path.open("rb") as file:
            file.seek(start)
            text = self._cells(file.read(length), image_id)[1]
        return self._parse(text, image_id)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return ((image_id, self.ids(image_id)) for image_id in self.image_ids)

    def _read_header(self, line: bytes) -> int:
        if self._cells(line, "the first line") != HEADER:
            raise SubmissionError(f"{self.path} does not begin with {','.join(HEADER)}: it is no submission")
        return len(line)

    def _note(self, line: bytes, number: int, start: int) -> None:
        # The id alone: most of a line is its class ids, which are looked at when they are asked for.
        image_id = self._cells(line[:4096].rstrip(b"\r\n") + b'"' * (line[:4096].count(b'"') % 2), f"line {number}")[0]
        if image_id in self._places:
            raise SubmissionError(f"{self.path}, line {number}: image {image_id} is there twice; remove one of them")
        self._places[image_id] = start, len(line)

    def _cells(self, line: bytes, where: str) -> list[str]:
        try:
            text = line.decode("utf-8-sig").rstrip("\r\n")
            cells = next(csv.reader(io.StringIO(text)))
        except (UnicodeDecodeError, csv.Error, StopIteration) as error:
            raise SubmissionError(f"{self.path}, {where}: is no CSV ({error})") from error
        if len(cells) != len(HEADER):
            raise SubmissionError(f"{self.path}, {where}: has {len(cells)} cells, not image_id and PredictionString")
        return cells

    def _parse(self, text: str, image_id: str) -> np.ndarray:
        data = np.frombuffer(text.strip().encode(), np.uint8)
        if not data.size or not (((data >= 48) & (data <= 57)) | (data == 32)).all():
            raise SubmissionError(f"{self.path}, image {image_id}: its PredictionString is no list of class ids")
        ids = np.fromstring(text, dtype=np.int64, sep=" ")
        if ids.max() > LARGEST:
            raise SubmissionError(f"{self.path}, image {image_id}: class ids must be from 0 to {LARGEST}")
        return ids.astype(np.uint8)


csv.field_size_limit(1 << 30)
