"""Masks with their photos: files of the same names in a folder of photos and in one of masks."""

import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.annotations import checks
from trainables.data.annotations.checks import Problem
from trainables.data.formats.detection import MASK_SUFFIXES, split_of
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
    endings: tuple[str, ...] = MASK_SUFFIXES,
    key: Callable[[str], str] = lambda name: name,
    notes: list[str] | None = None,
) -> list[Pair]:
    """Return the masks in a folder with their photos in another, or in the same one; both are below `source`.

    `endings` are those of the masks' files in small letters, and `key` makes one name of those of a photo and its mask.
    Where `notes` are given and no mask has the name of a photo, they are paired by the numbers in their names, and
    `notes` grows by a sentence that says so.

    Raises UserError for a mask without photo, for two photos of one mask, and where there is no mask at all.
    """
    photos = _photos_by_name(images, key, endings if images == masks else ())
    pairs, faults = [], []
    similar = {folded(str(name)): photo for name, photo in photos.items()}
    found = sorted(path for path in files_below(masks) if path.name.lower().endswith(endings))
    names = [_named(path, masks, key) for path in found]
    more = _common_ending(photos, names)
    names = [name.with_name(name.name.removesuffix(more)) for name in names]
    if notes is not None and (numbered := _by_number(names, photos)):
        names = [numbered[name] for name in names]
        first = f"{found[0].relative_to(masks)} is that of {photos[names[0]].relative_to(images)}"
        notes.append(f"masks are taken as those of the photos with their numbers: {first}")
    for mask, name in zip(found, names):
        if name in photos:
            split = _split_of(mask.relative_to(source))
            pairs.append(Pair(split, photos[name], photos[name].relative_to(images).as_posix(), mask))
        else:
            near = similar.get(folded(str(name)))
            but = f", but {near.relative_to(images)} is there" if near else ""
            what = f"there is no photo of its name below {images}{but}"
            remedy = "give both the same name, remove the mask, or restore the photo"
            faults.append(Problem(str(mask.relative_to(source)), None, what, remedy))
    checks.raise_if_any(source, faults)
    if not pairs:
        lossy = any(path.suffix.lower() in (".jpg", ".jpeg") for path in files_below(masks))
        but = "; JPEG changes the values of pixels, so save masks as PNG" if lossy else ""
        raise UserError(
            f"{masks} holds no mask *{' or *'.join(endings)}; one is needed for each photo of {images}{but}"
        )
    return pairs


def _photos_by_name(images: Path, key: Callable[[str], str], endings: tuple[str, ...]) -> dict[Path, Path]:
    """Return the photos by what their names have in common with those of masks; files with `endings` are masks."""
    photos: dict[Path, Path] = {}
    for path in sorted(files_below(images)):
        if path.suffix.lower() in SUFFIXES and not path.name.lower().endswith(endings):
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


def _by_number(masks: Sequence[Path], photos: Iterable[Path]) -> dict[Path, Path]:
    """Return the photo of each mask by the numbers in their names, as in image_07.jpg and mask_07.png.

    The dictionary is empty where a mask has the name of a photo, where what stands around the numbers is not the same
    in all photos or in all masks, or where a mask has a number that no photo has.
    """
    numbered = _numbers(photos)
    wanted = _numbers(masks)
    if not numbered.keys() >= wanted.keys() or set(numbered.values()) & set(wanted.values()):
        return {}
    return {mask: numbered[key] for key, mask in wanted.items()}


def _numbers(names: Iterable[Path]) -> dict[Path, Path]:
    """Return names by what they are from their first digit to their last one; nothing where the rest varies."""
    found, around = {}, set()
    for name in names:
        parts = re.fullmatch(r"(\D*)(\d|\d.*\d)(\D*)", name.name)
        if parts is None:
            return {}
        found[name.with_name(parts[2])] = name
        around.add((parts[1], parts[3]))
    return found if len(around) == 1 else {}


def _split_of(path: Path) -> str:
    return next((split for part in path.parts[:-1] if (split := split_of(part))), "train")
