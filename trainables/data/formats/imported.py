"""What every reader of a format hands to the writer: classes, and labelled photos one after another."""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainables.data.annotations.checks import Problem
from trainables.data.photos.names import SUFFIXES, composed, folded, without_ending
from trainables.errors import DamagedFileError, UserError
from trainables.files import check_shape, files_below

SKIPPED = "skipped; correct it and import again"
ANY_SIZE = math.inf  # megapixels of a photo: an import takes what a search takes with a flag


@dataclass(frozen=True)
class Shape:
    """One labelled region: a COCO segmentation (polygons in pixels, or RLE), and how messages name it.

    Without a category it is background, which makes holes in what is below it.
    """

    category_id: int | None
    segmentation: Any = field(repr=False)
    name: str


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo with its shapes; `labels` is the file that they are from, and `file_name` its name below its split.

    `content` are the photo's own bytes where the annotation file holds them and there is no file at `path`. Photos of
    the same `group` belong together; it is None where the format says nothing of that.
    """

    split: Literal["train", "val", "test"]
    path: Path
    file_name: str
    height: int
    width: int
    shapes: tuple[Shape, ...]
    labels: str
    content: bytes | None = field(default=None, repr=False)
    group: str | int | None = None


@dataclass(frozen=True)
class Imported:
    """A data set in another format, whose photos are read while they are iterated over.

    `categories` are names by id. Where `layered`, each shape hides what is below it in the order of the shapes; else
    COCO's rule holds here, by which the smaller one is on top. `unlabelled` says how a search should take pixels
    without any shape; where they are background and shapes are layered, a category with a name of the background is no
    class, and its shapes make holes. While `photos` are read, `problems` grows by what is skipped and `notes` by what
    to know. With `skip_photos`, photos that are missing or damaged are skipped, too.
    """

    categories: dict[int, str]
    photos: Iterable[LabelledPhoto]
    count: int
    layered: bool = False
    unlabelled: Literal["background", "ignore"] = "background"
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skip_photos: bool = False


@dataclass(frozen=True)
class ImportOptions:
    """`classes` is a file with the list of classes; `void` says what pixels of no class are, where a format has any.

    With `skip_photos`, photos that COCO's files list and that are missing or damaged are left out.
    """

    classes: Path | None = None
    void: Literal["background", "ignore"] | None = None
    skip_photos: bool = False


def read_lines(file: Path) -> list[str]:
    """Return the lines of a text file in UTF-8. Raises UserError where it cannot be read or has another encoding.

    A zero byte is the sign of another encoding, UTF-16 without a mark, or of a damaged file.
    """
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no text in UTF-8 (byte {error.start}); save it with that encoding") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{file}, line {line}: holds a zero byte, so it is no text in UTF-8; write the file again")
    return text.splitlines()


def check_form(content: Any, form: Any, file: Path) -> None:
    """Raise UserError, with the place in the file, where the content of a JSON file does not have the type `form`."""
    try:
        check_shape(content, form, file, remedy="export it again, or correct it there")
    except DamagedFileError as error:
        raise UserError(str(error)) from error


class PhotosByName:
    """The photos below a directory by their names, since annotation files may leave out or change their folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(files_below(root)):
            if path.suffix.lower() in SUFFIXES:
                self._by_name.setdefault(composed(path.name), []).append(path)

    def below(self, name: str, labels: str) -> Path:
        """Return the photo at the path `name` below the directory, else what `find` returns."""
        exact = self.root / name
        return exact if os.path.isfile(exact) else self.find(name, labels)

    def find(self, name: str, labels: str) -> Path:
        """Return the one photo whose path ends in `name`, or else the one with its last part as name.

        Raises UserError where there is none, or several.
        """
        parts = [part for part in composed(name).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        same_name = self._by_name.get(parts[-1], []) if parts else []
        ends = [path for path in same_name if [*map(composed, path.parts[-len(parts) :])] == parts]
        found = ends or same_name
        if len(found) == 1:
            return found[0]
        if not found:
            remedy = f"but {self._near(parts[-1])} is; give both one name" if self._near(parts[-1]) else "put it there"
            raise UserError(f"{labels}: the photo {name!r} is not below {self.root}, {remedy}")
        among = ", ".join(str(path.relative_to(self.root)) for path in found[:3])
        raise UserError(f"{labels}: the photo {name!r} may be any of {among}; give photos names of their own")

    def has(self, name: str) -> bool:
        return composed(name).replace("\\", "/").rsplit("/", 1)[-1] in self._by_name

    def _near(self, name: str) -> str:
        """Return the name of a photo that is similar, else of one with another ending; nothing where there is none."""
        same = [other for other in self._by_name if folded(other) == folded(name)]
        ending = [other for other in self._by_name if folded(without_ending(other)) == folded(Path(name).stem)]
        return next(map(repr, same + ending), "")
