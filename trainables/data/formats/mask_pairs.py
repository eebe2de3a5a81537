"""PNG masks with their photos: files of the same names in a folder of photos and in one of masks."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.annotations import checks
from trainables.data.annotations.checks import Problem
from trainables.data.formats.detection import split_of
from trainables.data.photos.names import SUFFIXES, composed, folded
from trainables.errors import UserError
from trainables.files import files_below


@dataclass(frozen=True)
class Pair:
    """A mask and its photo; `file_name` is the photo's name below its folder."""

    split: str
    photo: Path
    file_name: str
    mask: Path


def find_pairs(
    source: Path,
    images: Path,
    masks: Path,
    *,
    ending: str = ".png",
    key: Callable[[str], str] = lambda name: name,
) -> list[Pair]:
    """Return the masks in a folder with their photos in another; both folders are below `source`.

    `ending` is that of the masks' files in small letters, and `key` makes one name of those of a photo and its mask.

    Raises UserError for a mask without photo, for two photos of one mask, and where there is no mask at all.
    """
    photos = _photos_by_name(images, key)
    pairs, faults = [], []
    similar = {folded(str(name)): photo for name, photo in photos.items()}
    found = sorted(path for path in files_below(masks) if path.name.lower().endswith(ending))
    names = [_named(path, masks, key) for path in found]
    more = _common_ending(photos, names)
    for mask, name in zip(found, names):
        name = name.with_name(name.name.removesuffix(more))
        if name in photos:
            split = _split_of(mask.relative_to(source))
            pairs.append(Pair(split, photos[name], photos[name].relative_to(images).as_posix(), mask))
        else:
            near = similar.get(folded(str(name)))
            but = f", but {near} is there" if near else ""
            what = f"there is no photo of its name below {images.relative_to(source)}{but}"
            remedy = "give both the same name, remove the mask, or restore the photo"
            faults.append(Problem(str(mask.relative_to(source)), None, what, remedy))
    checks.raise_if_any(source, faults)
    if not pairs:
        raise UserError(f"{masks} holds no mask *{ending}; one is needed for each photo of {images}")
    return pairs


def _photos_by_name(images: Path, key: Callable[[str], str]) -> dict[Path, Path]:
    photos: dict[Path, Path] = {}
    for path in sorted(files_below(images)):
        if path.suffix.lower() in SUFFIXES:
            name = _named(path, images, key)
            if name in photos:
                raise UserError(f"{photos[name]} and {path} would have the same mask: keep one of them")
            photos[name] = path
    return photos


def _named(path: Path, folder: Path, key: Callable[[str], str]) -> Path:
    """Return what a photo and its mask have in common of their names: below their folders, composed, without suffix."""
    return Path(composed(str(path.relative_to(folder).with_name(key(path.stem)))))


def _common_ending(photos: Container[Path], masks: Sequence[Path]) -> str:
    """Return what all masks' names have behind the name of a photo; nothing where one has a photo's very name.

    An ending that begins with a digit is none: 10.png is no mask of 1.jpg.
    """
    if not masks or any(mask in photos for mask in masks):
        return ""
    first = masks[0].name
    endings = [
        first[length:]
        for length in range(len(first) - 1, 0, -1)
        if masks[0].with_name(first[:length]) in photos and not first[length].isdigit()
    ]
    return endings[0] if endings and all(mask.name.endswith(endings[0]) for mask in masks) else ""


def _split_of(path: Path) -> str:
    return next((split for part in path.parts[:-1] if (split := split_of(part))), "train")
