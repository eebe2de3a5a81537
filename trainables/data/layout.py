"""The places of a data set's files: the COCO file of each split, and the photos that it names."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from trainables.data.formats.detection import format_of
from trainables.data.photos.names import composed, folded, without_ending
from trainables.errors import UserError
from trainables.files import check_unpacked, files_below

SPLITS = ("train", "val", "test")
# The files of each split, as tools write them; the first layout whose training file is there is taken.
LAYOUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "SegVote": {split: (f"{split}.json",) for split in SPLITS},
    "Roboflow": {
        "train": ("train/_annotations.coco*.json",),
        "val": ("valid/_annotations.coco*.json", "val/_annotations.coco*.json"),
        "test": ("test/_annotations.coco*.json",),
    },
    "COCO": {
        "train": ("annotations/instances_train*.json", "annotations/instances_default.json"),
        "val": ("annotations/instances_val*.json",),
        "test": ("annotations/instances_test*.json", "annotations/image_info_test*.json"),
    },
    "annotations/": {split: (f"annotations/{split}.json",) for split in SPLITS},
}
_OTHER_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


@dataclass(frozen=True)
class Layout:
    """The COCO files of a data set by split, "train" first.

    `root` is the directory that messages name, and `kind` is the one of LAYOUTS in which the training file was found.
    """

    root: Path
    files: Mapping[str, Path]
    kind: str = "SegVote"

    def name(self, split: str) -> str:
        """Return the file of a split as messages name it: below the root, or with its whole path."""
        file = self.files[split]
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else str(file)

    def photos(self, split: str) -> "PhotoFinder":
        """Return the finder of the photos that the file of a split names."""
        return PhotoFinder(self.root, tuple(_photo_directories(self.root, self.files[split], split)))


def layout_of(file: Path, split: str) -> Layout:
    """Return the layout of a COCO file that is given by itself, as the file of a split.

    The data set's directory is above annotations/, where COCO has its files, and above a folder of a split.
    """
    above = file.parent.name in ("annotations", "train", "valid", "val", "test")
    return Layout(file.parent.parent if above else file.parent, {split: file})


def photos_of(file: Path) -> "PhotoFinder":
    """Return the finder of the photos of a COCO file that is given by itself."""
    return layout_of(file, "test").photos("test")


def find_layout(root: Path, train_json: Path | str | None = None, val_json: Path | str | None = None) -> Layout:
    """Return where the files of the data set in `root` are.

    These layouts are known: train.json beside val.json and test.json, Roboflow's train/_annotations.coco.json, and
    COCO's annotations/instances_train2017.json. `train_json` and `val_json`, below `root` or as paths of their own,
    name other files, and are used instead of what is found.

    Raises UserError where the directory or the file does not exist, or where more than one file could be meant.
    """
    root = root.absolute()
    if not root.is_dir():
        raise UserError(_no_directory(root))
    given = {"train": train_json, "val": val_json}
    named = {split: _named_file(root, split, file) for split, file in given.items() if file is not None}
    kind, found = _recognised(root)
    if "train" not in {**found, **named}:
        raise UserError(_no_training_file(root))
    files = {split: _only(root, split, found[split]) for split in found if split not in named} | named
    return Layout(root, {split: files[split] for split in SPLITS if split in files}, kind)


def is_dataset(root: Path) -> bool:
    """Return whether a directory holds a training file where one is looked for."""
    return root.is_dir() and "train" in _recognised(root)[1]


def _recognised(root: Path) -> tuple[str, dict[str, list[Path]]]:
    """Return the first layout that has a training file, and its files of each split; no file where no layout has."""
    for kind, patterns in LAYOUTS.items():
        found = {
            split: [path for pattern in patterns[split] for path in sorted(root.glob(pattern)) if path.is_file()]
            for split in SPLITS
        }
        if found["train"]:
            return kind, {split: paths for split, paths in found.items() if paths}
    return "SegVote", {}


def _only(root: Path, split: str, paths: list[Path]) -> Path:
    if len(paths) == 1:
        return paths[0]
    names = ", ".join(path.relative_to(root).as_posix() for path in paths)
    flag = f"name the one that is meant by --{split}-json" if split != "test" else "leave one of them there"
    raise UserError(f"{root} has {len(paths)} files of the {split} split ({names}): {flag}")


def _named_file(root: Path, split: str, file: Path | str) -> Path:
    for path in (root / Path(file).expanduser(), Path(file).expanduser().absolute()):
        if path.is_file():
            return path
    raise UserError(f"--{split}-json {file}: there is no such file, neither below {root} nor as a path of its own")


def _no_directory(root: Path) -> str:
    if root.exists():
        if root.is_file():
            check_unpacked(root)
        return (
            f"{root} is a file: give --data its directory, {root.parent}, and name the file by --train-json "
            f"{root.name} if it is the one of the training images"
        )
    return f"{root}: there is no such directory; give --data a directory that holds train.json and its images"


def _no_training_file(root: Path) -> str:
    if os.path.lexists(root / "train.json"):
        return f"{root / 'train.json'} is no file: it may be a directory, a pipe, or a link that leads nowhere"
    found = sorted(path.relative_to(root).as_posix() for some in ("*.json", "*/*.json") for path in root.glob(some))
    listed = ", ".join(found[:10]) + (", …" if len(found) > 10 else "") or "no .json file"
    remedy = "name the COCO file of the training images by --train-json, or give it that name"
    looks_like = format_of(root)
    if looks_like:
        out = shlex.quote(f"{root.name}-imported")
        remedy = (
            f"it looks like the format {looks_like}, which this turns into a data set:\n"
            f"    segvote data import {looks_like} {shlex.quote(str(root))} --out {out}"
        )
    return f"{root / 'train.json'} is missing (found: {listed}); {remedy}"


def _photo_directories(root: Path, file: Path, split: str) -> Iterator[Path]:
    """Yield the directories below which the photos of a COCO file may be, the most likely first."""
    year = file.stem.rpartition("_")[2]  # train2017 of instances_train2017
    inner = dict.fromkeys([year, *_OTHER_NAMES.get(split, ())])
    bases = dict.fromkeys([file.parent, root])
    for base in bases:
        yield from (base, base / "images")
    for base in bases:
        for name in inner:
            yield from (base / name, base / "images" / name, base / name / "images")
        yield base / "data"


class PhotoFinder:
    """A search for the photos that a COCO file names, below one of several directories; hints are of all of `root`."""

    def __init__(self, root: Path, directories: Sequence[Path]) -> None:
        self.root, self.directories = root, directories

    def path(self, file_name: str) -> Path:
        """Return the path of the photo, or the first path at which it was looked for where it does not exist.

        A name that differs from the one on disk only in how its characters are composed (as between macOS and Linux),
        or that has the backslashes of Windows, means the same file.
        """
        for name in dict.fromkeys([file_name, file_name.replace("\\", "/")]):
            for directory in self.directories:
                path = directory / os.path.normpath(name)
                if os.path.isfile(path):  # False, too, of a name that is longer than the file system allows
                    return path
        near = self._near(file_name)
        same = [path for path in near if composed(path.name) == composed(PurePosixPath(_slashes(file_name)).name)]
        return same[0] if len(same) == 1 else self.directories[0] / os.path.normpath(file_name)

    def hint(self, file_name: str) -> str:
        """Return a hint that names files with a name similar to a missing one, or with the same name in another folder.

        Else it names photos of another ending where this one was looked for; it is empty where there are none of all.
        """
        if "://" in file_name:  # the address of a photo
            file_name = unquote(urlsplit(file_name).path).lstrip("/")
        name = PurePosixPath(_slashes(file_name)).name
        near = [path.name for path in self._near(file_name)] or self._anywhere.get(folded(name), [])
        near = near or [path.name for path in self._near(file_name, any_ending=True)]
        return f"is not there, but {', '.join(map(repr, near[:3]))} {'is' if len(near) == 1 else 'are'}" if near else ""

    def _near(self, file_name: str, any_ending: bool = False) -> list[Path]:
        """Return the files whose names differ in capitals, blanks at the ends, %20 for a blank, or composition.

        With `any_ending`, those are returned that are the same without the endings of photos.
        """
        parts = PurePosixPath(_slashes(file_name))
        wanted = folded(os.path.splitext(parts.name)[0] if any_ending else parts.name)
        below = [directory / os.path.normpath(parts.parent) for directory in self.directories]
        near = [directory / name for directory in below for name in self._names(directory, any_ending).get(wanted, ())]
        return [path for path in near if path.exists()]  # without links that lead nowhere

    @cached_property
    def _anywhere(self) -> dict[str, list[str]]:
        """Return the paths of all files below the root by what is compared of their names."""
        found: dict[str, list[str]] = {}
        for path in sorted(filter(os.path.isfile, files_below(self.root))):  # without links that lead nowhere
            found.setdefault(folded(path.name), []).append(path.relative_to(self.root).as_posix())
        return found

    @cached_property
    def _listed(self) -> dict[tuple[Path, bool], dict[str, list[str]]]:
        return {}

    def _names(self, directory: Path, any_ending: bool) -> dict[str, list[str]]:
        """Return the names in a directory by what is compared of them; it is read once."""
        if (directory, any_ending) not in self._listed:
            names: dict[str, list[str]] = {}
            for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
                names.setdefault(folded(without_ending(name) if any_ending else name), []).append(name)
            self._listed[directory, any_ending] = names
        return self._listed[directory, any_ending]


def _slashes(name: str) -> str:
    return name.replace("\\", "/")
