"""Masks as image files, one a photo, whose values or colours are classes: VOC, ADE20K, Cityscapes, and any other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.annotations import checks
from trainables.data.annotations.checks import Problem
from trainables.data.formats import class_lists
from trainables.data.formats.class_lists import ClassList
from trainables.data.formats.detection import (
    CITYSCAPES_PHOTOS,
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    MASK_SUFFIXES,
    ROBOFLOW_CLASSES,
    ending_beside,
    folder_of,
    split_places,
)
from trainables.data.formats.imported import Imported, ImportOptions, LabelledPhoto, Shape, read_lines
from trainables.data.formats.mask_pairs import Pair, find_pairs
from trainables.data.formats.mask_values import counted, read_values
from trainables.data.formats.write import as_json
from trainables.data.photos.names import SUFFIXES, without_ending
from trainables.errors import UserError
from trainables.files import files_below

CVAT_CLASSES = "labelmap.txt"
CLASS_FILES = ("classes.txt", "class_names.txt", "labels.txt", CVAT_CLASSES, "class_dict.csv", ROBOFLOW_CLASSES)
CITYSCAPES_LIST = "label_colors.txt"
ADE20K_CLASSES = "objectInfo150.txt"


def read_voc(source: Path, options: ImportOptions) -> Imported:
    """Return VOC's layout: JPEGImages, SegmentationClass, and the lists below ImageSets/Segmentation if there are any.

    Masks are palette files, or in VOC's colours. 255, the outline of objects, is no class. Where there is a list of
    classes, such as the labelmap.txt of CVAT's "Segmentation mask 1.1" or the class_names.txt of labelme's converter,
    the classes are those that it lists. Masks may lie in SegmentationClassPNG, where that converter puts them.
    """
    listed = options.classes or _class_file([source])
    classes = class_lists.read_class_list(listed) if listed else class_lists.voc()
    of_labelme = source / "SegmentationClassPNG"
    masks = of_labelme if of_labelme.is_dir() else source / "SegmentationClass"
    pairs = find_pairs(source, source / "JPEGImages", masks)
    return _imported(source, _listed(source, pairs), classes, options, "ignore")


def read_cityscapes(source: Path, options: ImportOptions) -> Imported:
    """Return Cityscapes' layout: leftImg8bit and gtFine with *_labelIds.png; the 19 classes that are evaluated.

    Where there are *_labelTrainIds.png alone, these are read. The classes are those of label_colors.txt where it is
    there, as in exports of CVAT.
    """
    masks = source / "gtFine"
    kinds, names = ("labelIds", "labelTrainIds"), [path.name for path in files_below(masks)]
    kind = next((one for one in kinds if any(name.endswith(f"_gtFine_{one}.png") for name in names)), kinds[0])
    own = source / CITYSCAPES_LIST
    listed = options.classes or (own if own.is_file() else None)
    classes = class_lists.read_class_list(listed) if listed else class_lists.cityscapes(train_ids=kind == kinds[1])
    key = lambda name: name.removesuffix("_leftImg8bit").removesuffix(f"_gtFine_{kind}")  # noqa: E731
    photos = next((source / name for name in CITYSCAPES_PHOTOS if (source / name).is_dir()), source / "leftImg8bit")
    pairs = find_pairs(source, photos, masks, endings=(f"_{kind}.png".lower(),), key=key)
    return _imported(source, pairs, classes, options, "ignore")


def read_ade20k(source: Path, options: ImportOptions) -> Imported:
    """Return ADE20K's layout for scene parsing: images and annotations with training and validation; 0 is no class.

    Raises UserError where there is no list of classes.
    """
    if options.classes is None and not (source / ADE20K_CLASSES).is_file():
        raise UserError(f"{source / ADE20K_CLASSES} is missing: put ADE20K's own there, or give --classes FILE")
    classes = (
        class_lists.read_class_list(options.classes) if options.classes else class_lists.ade20k(source / ADE20K_CLASSES)
    )
    if options.classes and 0 not in classes.names:
        classes = ClassList(classes.names, (*classes.void, 0), classes.colours)
    pairs = find_pairs(source, source / "images", source / "annotations")
    return _imported(source, pairs, classes, options, "ignore")


def read_masks(source: Path, options: ImportOptions) -> Imported:
    """Return any folder of photos beside one of masks with the same names, with a list of classes.

    The folders may lie in folders of splits (train, val, test), or have such folders in them. The masks' names may all
    have one ending that the photos' lack, as in a.jpg and a_mask.png, or have the numbers of the photos, as in
    mask_07.png and image_07.jpg. They may also lie beside the photos, with an ending, as in exports of Roboflow.

    Raises UserError where there is no list of classes, or no photo with a mask.
    """
    places = split_places(source)
    found = _class_file(places)
    if options.classes is None and found is None:
        raise UserError(
            f"{source} has no list of classes ({', '.join(CLASS_FILES)}): give --classes FILE, with one class a line"
        )
    pairs, folders, notes = [], [], []
    for place in places:
        images, masks = (folder_of(place, names) for names in (IMAGE_FOLDERS, MASK_FOLDERS))
        if images and masks:
            pairs += find_pairs(source, images, masks, notes=notes)
            folders.append(images)
        elif (place != source or len(places) == 1) and (ending := ending_beside(place)):
            pairs += _beside(source, place, ending)
            folders.append(place)
    if not pairs:
        raise UserError(
            f"{source} has no folder of photos ({', '.join(IMAGE_FOLDERS)}) beside one of masks "
            f"({', '.join(MASK_FOLDERS)}), and no masks beside photos, as a_mask.png beside a.jpg: name them so"
        )
    classes = class_lists.read_class_list(options.classes or found)
    imported = _imported(source, pairs, classes, options, "background")
    imported.notes.extend([*notes, *_without_mask(source, folders, pairs)])
    return imported


def _beside(source: Path, place: Path, ending: str) -> list[Pair]:
    """Return the pairs of a folder in which masks lie beside photos; `ending` is what their names have behind those."""
    endings = tuple(f"{ending}{one}".lower() for one in MASK_SUFFIXES)
    return find_pairs(source, place, place, endings=endings, key=lambda name: name.removesuffix(ending))


def _class_file(places: list[Path]) -> Path | None:
    """Return the list of classes in one of the places. Raises UserError where several of one name differ."""
    for name in CLASS_FILES:
        found = [place / name for place in places if (place / name).is_file()]
        if len({file.read_bytes() for file in found}) > 1:
            raise UserError(f"{' and '.join(map(str, found))} differ: give the list of classes by --classes FILE")
        if found:
            return found[0]
    return None


def _without_mask(source: Path, folders: list[Path], pairs: list[Pair]) -> Iterator[str]:
    """Yield a sentence on the photos below the folders that have no mask, if there are any."""
    taken = {path for pair in pairs for path in (pair.photo, pair.mask)}
    found = {path for folder in folders for path in files_below(folder) if path.suffix.lower() in SUFFIXES}
    left = sorted(str(path.relative_to(source)) for path in found - taken)
    if left:
        yield f"{len(left)} photos have no mask of their name and are left out, such as {', '.join(left[:3])}"


def _listed(source: Path, pairs: list[Pair]) -> list[Pair]:
    """Return the pairs that VOC's lists name, each in the split whose list names it; all, where there are no lists.

    Names in the lists may have the ending of the photo.
    """
    known = {pair.mask.stem for pair in pairs}
    split_of: dict[str, str] = {}
    for split in ("train", "val", "test"):
        file = source / "ImageSets" / "Segmentation" / f"{split}.txt"
        if file.is_file():
            names = [name for line in read_lines(file) for name in line.split()]
            split_of |= {name if name in known else without_ending(Path(name).name): split for name in names}
    if not split_of:
        return pairs
    chosen = [Pair(split_of[p.mask.stem], p.photo, p.file_name, p.mask) for p in pairs if p.mask.stem in split_of]
    missing = sorted(split_of.keys() - {pair.mask.stem for pair in chosen})
    if missing:
        raise UserError(
            f"{source}: ImageSets/Segmentation names {missing[0]}, which has no mask: restore it, or leave out the name"
        )
    return chosen


def _imported(
    source: Path, pairs: list[Pair], classes: ClassList, options: ImportOptions, usual: Literal["background", "ignore"]
) -> Imported:
    """Return what was read; with void "background", pixels of a class of that name are left without annotation.

    `usual` is what pixels of no class are where the options do not say it.
    """
    void = options.void or usual
    background = {value for value, name in classes.names.items() if void == "background" and checks.is_background(name)}
    categories = {value: name for value, name in classes.names.items() if value not in background}
    notes: list[str] = []
    photos = _photos(source, pairs, classes, set(categories), void, notes, void_is_said=options.void is not None)
    return Imported(categories, photos, len(pairs), unlabelled=void, notes=notes)


def _photos(
    source: Path,
    pairs: list[Pair],
    classes: ClassList,
    wanted: set[int],
    void: str,
    notes: list[str],
    *,
    void_is_said: bool,
) -> Iterator[LabelledPhoto]:
    """Yield the photos; at the end raise a UserError that lists the masks with values or colours of no class."""
    faults, void_pixels, known = [], 0, {*classes.names, *classes.void}
    seen: set[int] = set()
    for pair in pairs:
        labels = str(pair.mask.relative_to(source))
        values, others = read_values(pair.mask, classes)
        present, counts = counted(values)
        unknown = others or [value for value in present.tolist() if value not in known]
        if unknown:
            kind, first = ("colours", "") if others else ("values", " (a list of names alone begins with the value 0)")
            what = f"has the {kind} {', '.join(map(str, unknown[:5]))}, which are in no line of the list of classes"
            faults.append(Problem(labels, None, what, f"list them{first}, or correct the mask"))
            continue
        seen.update(present.tolist())
        void_pixels += int(counts[np.isin(present, classes.void)].sum())
        values = np.asfortranarray(values)  # as run lengths count, so that no class needs a copy of its own
        shapes = tuple(
            Shape(value, as_json(coco_mask.encode((values == value).view(np.uint8))), f"value {value}")
            for value in present.tolist()
            if value in wanted
        )
        yield LabelledPhoto(pair.split, pair.photo, pair.file_name, *values.shape, shapes, labels)
    checks.raise_if_any(source, faults)
    if 255 in classes.void and 255 in seen <= {0, 255} and not void_is_said:
        raise UserError(
            f"{source}: all masks together have the values 0 and 255 alone, and 255 is no class unless it is listed: "
            "write the value before each name in the list of classes, as in '0 background' and '255 road', or say by "
            "--void that 255 is the background, or is to be ignored"
        )
    if void_pixels and void == "background":
        notes.append(f"{void_pixels} pixels of no class became background; --void ignore keeps them out of the score")
