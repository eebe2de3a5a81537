"""The competition's CSV `image_id,PredictionString`: a row for each image, whose class map is class ids with spaces
between.

A row holds about 65,536 ids, and a file has hundreds of rows: both classes keep one row in memory, never the whole
file.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from ensembling.kernels import compiled
from trainables.files import replacing

HEADER = ("image_id", "PredictionString")
SIDE = 256  # pixels
LAST_ID = 254  # 255 means that there is no vote
LONGEST_ROW = 1 << 26  # bytes: the limit where a quote is never closed
SHOWN = 40  # characters of wrong text that a message repeats

_BOM = b"\xef\xbb\xbf"
_FIELD = rb'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))'
_QUOTED_ROW = re.compile(_FIELD + rb"," + _FIELD + rb"\r?\n?")
_DIGITS = np.array([list(b"%-4d" % class_id) for class_id in range(LAST_ID + 1)], np.uint8)  # "0   " to "254 "
_WIDTHS = np.array([len(f"{class_id} ") for class_id in range(LAST_ID + 1)])


class SubmissionError(ValueError):
    """The error for a submission file, or a row of one, that is wrong; the message names the file, row and image_id."""


class SubmissionWriter:
    """A context manager that writes a submission, row by row in the order in which rows are added.

    The rows go to a temporary file beside `path`, which is flushed and renamed if the block succeeds and removed if it
    fails. Raises SubmissionError for a row that is invalid, and OSError where the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._written: set[str] = set()

    def __enter__(self) -> "SubmissionWriter":
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replacing(self.path))
        self._file = self._stack.enter_context(open(temporary, "wb"))
        self._file.write(",".join(HEADER).encode() + b"\n")
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def add(self, image_id: str, class_map: np.ndarray) -> None:
        """Write the row of a class map uint8 (H, W) with ids 0 to 254, resized to 256x256.

        The class map is resized with cv2.INTER_NEAREST, as albumentations' Resize does with masks, and therefore as the
        competition does: pixel x of 256 is pixel floor(x * W / 256) of W. Pillow's nearest and cv2.INTER_NEAREST_EXACT
        take the centre of each pixel, which gives other pixels.
        """
        if class_map.dtype != np.uint8 or class_map.ndim != 2 or not class_map.size:
            raise SubmissionError(
                f"{self.path}: the class map of image {image_id!r} is {class_map.dtype} {class_map.shape}, "
                "but must be uint8 (height, width)"
            )
        self.add_ids(image_id, cv2.resize(class_map, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST).reshape(-1))

    def add_ids(self, image_id: str, ids: np.ndarray) -> None:
        """Write a row of class ids uint8 (n,), 0 to 254, which already has its final size."""
        if image_id in self._written or not image_id:
            raise SubmissionError(f"{self.path}: image_id {image_id!r} is {'added twice' if image_id else 'empty'}")
        if ids.dtype != np.uint8 or ids.ndim != 1 or not ids.size or ids.max() > LAST_ID:
            highest = f", the highest is {ids.max()}" if ids.size else ""
            raise SubmissionError(
                f"{self.path}: the ids of image {image_id!r} are {ids.dtype} {ids.shape}{highest}; "
                f"they must be uint8 (n,), at least one, from 0 to {LAST_ID}"
            )
        try:
            name = _quoted(image_id).encode()
        except UnicodeEncodeError:  # Python represents a file name that is not UTF-8 by such characters
            raise SubmissionError(f"{self.path}: image_id {image_id!r} cannot be written in UTF-8: rename it") from None
        self._written.add(image_id)
        self._file.write(name + b"," + _text_of(ids) + b"\n")


class SubmissionFile:
    """A submission file whose rows can be read in any order; close it, or use it as a context manager.

    The file is UTF-8, may have a byte order mark or CRLF, and is quoted as CSV is. It is read once when it is opened,
    in order to find where each row begins; the ids of a row are checked when they are asked for. Raises SubmissionError
    with the file, line and image_id where the content is wrong, and OSError where the file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open(self.path, "rb")  # noqa: SIM115 - closed by close()
        try:
            self._places = self._index()  # image_id -> line, offset in bytes
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "SubmissionFile":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Return the image ids in the order of the file."""
        return tuple(self._places)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    def ids(self, image_id: str) -> np.ndarray:
        """Return the class ids uint8 (n,) of an image. Raises KeyError where the file has no row of it."""
        line, offset = self._places[image_id]
        self._file.seek(offset)
        found, text = self._split(line, next(_records(self._file), (0, 0, b""))[-1])
        if found != image_id:
            raise SubmissionError(f"{self.path}: line {line} is no longer that of image {image_id!r}: it was changed")
        ids = np.empty(len(text) // 2 + 1, np.uint8)
        count = _parse_ids(np.frombuffer(text, np.uint8), ids)
        if count <= 0:
            wrong = text[-count - 1 :].split(maxsplit=1)[0][:SHOWN] if count else b""
            problem = f"class id {_shown(wrong)}" if wrong else "the PredictionString is empty"
            raise SubmissionError(
                f"{self.path}: line {line}, image {image_id!r}: {problem}, but must be whole numbers "
                f"from 0 to {LAST_ID} with spaces between; write the file again"
            )
        return ids[:count]

    def _index(self) -> dict[str, tuple[int, int]]:
        rows: dict[str, tuple[int, int]] = {}
        self._check_header()
        for line, offset, record in _records(self._file, line=2):
            if not record.strip():
                continue
            image_id, _ = self._split(line, record)
            if not image_id:
                raise SubmissionError(f"{self.path}: line {line} has an empty image_id")
            if image_id in rows:
                raise SubmissionError(
                    f"{self.path}: image_id {image_id!r} is in line {rows[image_id][0]} and again in line {line}; "
                    "remove one of them"
                )
            rows[image_id] = line, offset
        if not rows:
            raise SubmissionError(f"{self.path}: there is no row below the header")
        return rows

    def _check_header(self) -> None:
        first = self._file.readline(1 << 12).removeprefix(_BOM)
        if _fields(first) == tuple(name.encode() for name in HEADER):
            return
        if not first:
            raise SubmissionError(f"{self.path}: the file is empty")
        try:
            first.decode()
        except UnicodeDecodeError as error:
            # A character may be cut in two by the limit on what is read of a first line.
            if error.end < len(first):
                raise SubmissionError(f"{self.path}: this is no text in UTF-8, so no submission CSV") from None
        raise SubmissionError(
            f"{self.path}: the first line is {_shown(first.rstrip())}, but must be the header {','.join(HEADER)}"
        )

    def _split(self, line: int, record: bytes) -> tuple[str, bytes]:
        """Return the image_id and the PredictionString of a row."""
        fields = _fields(record)
        if fields is None:
            raise SubmissionError(
                f"{self.path}: line {line} is {_shown(record.rstrip())}, but must be an image_id and a "
                "PredictionString with a comma between, quoted as CSV is"
            )
        image_id, text = fields
        try:
            return image_id.decode(), text
        except UnicodeDecodeError:
            raise SubmissionError(f"{self.path}: image_id {_shown(image_id)} in line {line} is no UTF-8") from None


def _records(file: BinaryIO, line: int = 1) -> Iterator[tuple[int, int, bytes]]:
    """Yield the line, offset and bytes of each row from the file's position on.

    A row ends at the first line break outside of quotes.
    """
    while True:
        offset = file.tell()
        parts = [file.readline(LONGEST_ROW)]
        size, quotes = len(parts[0]), parts[0].count(b'"')
        while quotes % 2 and parts[-1] and size < LONGEST_ROW:
            parts.append(file.readline(LONGEST_ROW))
            size, quotes = size + len(parts[-1]), quotes + parts[-1].count(b'"')
        if not size:
            return
        record = b"".join(parts)
        yield line, offset, record
        line += record.count(b"\n")


def _fields(record: bytes) -> tuple[bytes, bytes] | None:
    """Return both fields of a row; None where it does not have two fields."""
    if b'"' not in record:
        image_id, comma, text = record.rstrip(b"\r\n").partition(b",")
        return (image_id, text) if comma and b"," not in text else None
    row = _QUOTED_ROW.fullmatch(record)
    if not row:
        return None
    image_id, text = (row[at].replace(b'""', b'"') if row[at] is not None else row[at + 1] for at in (1, 3))
    return image_id, text


def _quoted(image_id: str) -> str:
    """Return the image_id with quotes where CSV needs them."""
    doubled = image_id.replace('"', '""')
    return f'"{doubled}"' if set(image_id) & set(',"\r\n') else image_id


def _shown(text: bytes) -> str:
    decoded = text[: 4 * SHOWN].decode(errors="replace")
    return repr(decoded if len(decoded) <= SHOWN else decoded[:SHOWN] + "…")


def _text_of(ids: np.ndarray) -> bytes:
    text = np.empty(4 * ids.size, np.uint8)
    return text[: _write_ids(np.ascontiguousarray(ids), text) - 1].tobytes()


@compiled
def _write_ids(ids, text):  # pragma: no cover - compiled
    """Fill `text` with the ids and a space after each, and return its length. It needs 4 bytes for each id."""
    length = 0
    for class_id in ids:
        # Four bytes are written for any width and the next id overwrites the rest: no loop depends on the id.
        for digit in range(4):
            text[length + digit] = _DIGITS[class_id, digit]
        length += _WIDTHS[class_id]
    return length


@compiled
def _parse_ids(text, ids):  # pragma: no cover - compiled
    """Fill `ids` and return their number, or -1 - p where the text at index p is no class id."""
    count, value, start = 0, -1, 0
    for index in range(text.size):
        byte = np.int64(text[index])
        if 48 <= byte <= 57:
            if value < 0:
                value, start = 0, index
            value = 10 * value + byte - 48
            if value > LAST_ID:
                return -1 - start
        elif byte == 32 or 9 <= byte <= 13:
            if value >= 0:
                ids[count] = value
                count += 1
            value = -1
        else:
            return -1 - (start if value >= 0 else index)
    if value >= 0:
        ids[count] = value
        count += 1
    return count
