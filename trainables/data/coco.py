"""A COCO data set: a training file, optional files for validation and test, and the photos that they name."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainables.data.annotations import checks
from trainables.data.annotations.annotation import Annotation, sound_annotations
from trainables.data.annotations.checks import Problem
from trainables.data.dataset import Category, Dataset, ImageRecord, sha256_of_values
from trainables.data.layout import Layout, find_layout, layout_of
from trainables.data.photos.frames import say_several
from trainables.data.photos.photo_files import MAX_MEGAPIXELS, PhotoError, PhotoFacts, inspect_photos, memo_path
from trainables.data.photos.tones import say_whites
from trainables.errors import UserError


def load_dataset(
    root: Path | str,
    *,
    unlabelled: Literal["background", "ignore"] = "background",
    cache_dir: Path | str | None = None,
    train_json: Path | str | None = None,
    val_json: Path | str | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Dataset:
    """Read and check the data set in the directory `root`; its `problems` are to be shown.

    Category ids, whatever they are, become classes in id order: 1..C with background 0, or, with `unlabelled` "ignore",
    0..C-1, pixels without annotation then being 255.

    Args:
        root: the directory; trainables.data.layout says which COCO files in it are known, and where photos may lie.
        unlabelled: what pixels without annotation are.
        cache_dir: where the photos' hashes are remembered by path, size and times. Their bytes are hashed, and photos
            of 8 bits are not decoded.
        train_json: the COCO file of the training images if it has another name, below `root` or as a path of its own.
        val_json: likewise the file of the holdout.
        max_megapixels: the largest photo that is taken.

    Raises:
        UserError: the data set cannot be used; lists every fault found, each with its file, id and remedy.
    """
    if unlabelled not in ("background", "ignore"):
        raise UserError(f"unlabelled is {unlabelled!r}: choose background or ignore")
    parsed = _parse(find_layout(Path(root), train_json, val_json), unlabelled)
    images = _images(parsed, cache_dir, max_megapixels)
    fingerprint = _fingerprint(images, parsed.categories, unlabelled, parsed.contents)
    return _dataset(parsed, images, unlabelled, fingerprint, _image_fingerprints(images, parsed.contents))


def load_annotations(
    source: Path | str,
    *,
    unlabelled: Literal["background", "ignore"] = "background",
    train_json: Path | str | None = None,
    val_json: Path | str | None = None,
) -> Dataset:
    """Return what `load_dataset` returns, without a look at any photo: their hashes are empty, as are fingerprints.

    Args:
        source: A data set's directory; or one COCO file of any name, whose images are then those for training.
        unlabelled: What pixels without annotation are.
        train_json: The COCO file of the training images in that directory, as for `load_dataset`.
        val_json: The COCO file of the holdout, likewise.

    Raises:
        UserError: The annotations cannot be used, with every fault found; or files are named beside a `source` that is
            a file itself.
    """
    source = Path(source).absolute()
    if source.suffix == ".json" and not source.is_dir():
        if train_json or val_json:
            raise UserError(f"{source} is a COCO file itself: give --data its directory, or leave out --train-json")
        layout = layout_of(source, "train")
    else:
        layout = find_layout(source, train_json, val_json)
    parsed = _parse(layout, unlabelled)
    finders = {split: parsed.layout.photos(split) for split in parsed.contents}
    images = tuple(
        parsed.record(row, split, entry, finders[split].path(entry["file_name"]))
        for row, (split, entry) in enumerate(parsed.entries)
    )
    return _dataset(parsed, images, unlabelled, "", ())


@dataclass(frozen=True, eq=False)
class _Parsed:
    """The checked COCO files of a data set: contents and sound annotations by split, and their problems."""

    layout: Layout
    contents: dict[str, dict]
    categories: tuple[Category, ...]
    annotations: dict[str, dict[int, list[Annotation]]]
    problems: list[Problem]

    @property
    def entries(self) -> list[tuple[str, dict]]:
        """Return the images of all files, with their splits, in the order of the rows."""
        return [(split, entry) for split, content in self.contents.items() for entry in content["images"]]

    def record(self, row: int, split: str, entry: dict, path: Path, sha256: str = "") -> ImageRecord:
        """Return the record of an image whose photo is at `path`."""
        size = int(entry["height"]), int(entry["width"])
        labelled = split != "test" or bool(self.contents["test"]["annotations"])
        own, group = tuple(self.annotations[split].get(entry["id"], ())), entry.get("group")
        group = "" if group is None else str(group)
        return ImageRecord(row, entry["id"], split, entry["file_name"], path, *size, own, labelled, sha256, group)


def _parse(layout: Layout, unlabelled: str) -> _Parsed:
    contents = _read_contents(layout)
    problems = _without_groups(layout, contents)
    categories = _categories(layout, contents, unlabelled)
    known = {category.id for category in categories}
    names = [category.name for category in categories]
    problems += checks.similar_names(layout.name("train"), names)
    problems += checks.doubtful_names(layout.name("train"), names, unlabelled=unlabelled)
    annotations = {}
    for split, content in contents.items():
        own = {one["id"] for one in content["categories"]} or known
        annotations[split] = sound_annotations(layout.name(split), content, own, problems)
    _check_annotated(layout, contents, annotations, problems)
    return _Parsed(layout, contents, categories, annotations, problems)


def _dataset(
    parsed: _Parsed, images: tuple[ImageRecord, ...], unlabelled: Any, fingerprint: str, of_images: tuple[str, ...]
) -> Dataset:
    layout = parsed.layout
    made_of = layout.root, images, parsed.categories, unlabelled, tuple(parsed.problems), fingerprint, of_images
    return Dataset(*made_of, {split: layout.name(split) for split in layout.files})


def _read_contents(layout: Layout) -> dict[str, dict]:
    """Return the parsed files by split, with lists of objects under images, annotations and categories."""
    contents, faults = {}, []
    for split, path in layout.files.items():
        name, photo = layout.name(split), layout.photos(split).path
        contents[split], found = checks.read_coco(path, name, photo, labels_optional=split == "test")
        faults += found
    checks.raise_if_any(layout.root, faults)
    return contents


def _without_groups(layout: Layout, contents: dict[str, dict]) -> list[Problem]:
    """Remove from `contents` the category that Roboflow puts above all others, and return problems that say so.

    It has the name of the project, groups the others, and has no annotation, so that its class never occurs.
    """
    if layout.kind != "Roboflow":
        return []
    used = {entry.get("category_id") for content in contents.values() for entry in content["annotations"]}
    parents = {one.get("supercategory") for content in contents.values() for one in content["categories"]}
    groups = {
        (one["id"], one["name"])
        for one in contents["train"]["categories"]
        if one["name"] in parents and one["id"] not in used
    }
    for content in contents.values():
        content["categories"] = [one for one in content["categories"] if (one["id"], one["name"]) not in groups]
    what = "the category {!r} groups the others and has no annotation"
    return [Problem(layout.name("train"), None, what.format(name), "it is no class") for _, name in sorted(groups)]


def _categories(layout: Layout, contents: dict[str, dict], unlabelled: str) -> tuple[Category, ...]:
    names = {
        split: {category["id"]: category["name"] for category in content["categories"]}
        for split, content in contents.items()
    }
    first, own = layout.name("train"), names["train"]
    faults = checks.check_classes(first, list(own.values()), unlabelled=unlabelled)
    for split in list(names)[1:]:
        if split != "test" or names[split]:
            faults += checks.compare_categories(first, own, layout.name(split), names[split])
    checks.raise_if_any(layout.root, faults)
    start = 0 if unlabelled == "ignore" else 1
    return tuple(Category(key, own[key], class_id) for class_id, key in enumerate(sorted(own), start=start))


def _check_annotated(layout: Layout, contents: dict, annotations: dict, problems: list[Problem]) -> None:
    """Raise UserError for each file that must have labels and none of whose annotations can be used."""
    faults = []
    for split, by_image in annotations.items():
        given = len(contents[split]["annotations"])
        if any(by_image.values()) or (split == "test" and not given):
            continue
        name = layout.name(split)
        what = f"none of its {given} annotations can be used" if given else "has no annotation at all"
        remedy = "correct what is said of them below" if given else "add annotations"
        faults.append(Problem(name, None, what, f"nothing can be learnt or scored without: {remedy}"))
        faults += [problem for problem in problems if problem.file == name]
    checks.raise_if_any(layout.root, faults)


def _images(parsed: _Parsed, cache_dir: Path | str | None, max_megapixels: float) -> tuple[ImageRecord, ...]:
    """Return the records of all splits. Raises UserError listing photos that are missing, broken or of another size."""
    layout, entries, problems = parsed.layout, parsed.entries, parsed.problems
    finders = {split: layout.photos(split) for split in parsed.contents}
    paths = [finders[split].path(entry["file_name"]) for split, entry in entries]
    memo = memo_path(cache_dir, layout.root) if cache_dir is not None else None
    facts = inspect_photos(paths, memo, max_megapixels=max_megapixels)
    records, faults = [], _twice_listed(layout, entries, paths)
    for row, ((split, entry), path, fact) in enumerate(zip(entries, paths, facts)):
        file, name, size = layout.name(split), entry["file_name"], (int(entry["height"]), int(entry["width"]))
        hint = finders[split].hint(name) if isinstance(fact, PhotoError) and not os.path.exists(path) else ""
        found = checks.check_photo(file, entry["id"], name, size, fact, hint)
        faults += found
        if found:
            continue
        records.append(parsed.record(row, split, entry, path, fact.sha256))
        if fact.ambiguous or entry.get(checks.TURNED):
            problems.append(ambiguous_turn(file, entry["id"], name))
    checks.raise_if_any(layout.root, faults)
    problems += _same_photos(layout, records) + _split_groups(layout, records)
    problems += _whites(layout, entries, facts) + _several(layout, entries, facts)
    return tuple(records)


def _twice_listed(layout: Layout, entries: list[tuple[str, dict]], paths: list[Path]) -> list[Problem]:
    first: dict[Path, tuple[str, dict]] = {}
    faults = []
    for (split, entry), path in zip(entries, paths):
        other_split, other = first.setdefault(path, (split, entry))
        if other is entry:
            continue
        what = f"{entry['file_name']} is also image {other['id']} of {layout.name(other_split)}"
        remedy = "a photo may be listed once only: what is trained on cannot be scored on"
        faults.append(Problem(layout.name(split), entry["id"], what, remedy))
    return faults


def ambiguous_turn(file: str, image_id: int, name: str) -> Problem:
    """Return a sentence on a photo whose size does not tell whether its annotations follow its EXIF orientation."""
    what = f"{name} has an EXIF orientation that its size neither confirms nor denies; it is followed"
    return Problem(file, image_id, what, "remove the mark from the file if the masks look turned")


def _whites(layout: Layout, entries: list[tuple[str, dict]], facts: Sequence[PhotoFacts | PhotoError]) -> list[Problem]:
    said = say_whites((entry["file_name"], fact.white) for (_, entry), fact in zip(entries, facts))
    remedy = "if photos then look too dark or too bright, convert them to 8 bits"
    return [Problem(layout.name("train"), None, what, remedy) for what in said]


def _several(
    layout: Layout, entries: list[tuple[str, dict]], facts: Sequence[PhotoFacts | PhotoError]
) -> list[Problem]:
    said = say_several((entry["file_name"], fact.several) for (_, entry), fact in zip(entries, facts))
    remedy = "if another picture was annotated, save it as a file of its own"
    return [Problem(layout.name("train"), None, what, remedy) for what in said]


def _same_photos(layout: Layout, records: list[ImageRecord]) -> list[Problem]:
    first: dict[str, ImageRecord] = {}
    problems = []
    for record in records:
        other = first.setdefault(record.sha256, record)
        if other.split != record.split:
            what = f"{record.file_name} has the very bytes of {other.file_name} of {layout.name(other.split)}"
            remedy = "remove one of them: what is trained on scores better than new photos do"
            problems.append(Problem(layout.name(record.split), record.image_id, what, remedy))
    return problems


def _split_groups(layout: Layout, records: list[ImageRecord]) -> list[Problem]:
    """Return a problem for each group that is in several files, one for each file but the first."""
    first: dict[str, ImageRecord] = {}
    problems = {}
    for record in records:
        other = first.setdefault(record.group, record)
        if record.group and other.split != record.split:
            known = f"{other.file_name} of {layout.name(other.split)}"
            what = f"{record.file_name} is of group {record.group!r}, as {known} is"
            remedy = "keep a group in one file: photos like those trained on score better than new ones do"
            problem = Problem(layout.name(record.split), record.image_id, what, remedy)
            problems.setdefault((record.group, record.split), problem)
    return list(problems.values())


def _fingerprint(
    images: tuple[ImageRecord, ...], categories: tuple[Category, ...], unlabelled: str, contents: dict
) -> str:
    """Return the hash of a data set.

    Segmentations are hashed as the files have them, because rasterised ones could differ in a pixel between machines.
    """
    lines: list[Any] = [[unlabelled, [(category.id, category.name) for category in categories]]]
    for image in images:
        lines.append([image.split, image.image_id, image.file_name, *_content(image)])
        if image.group:
            lines.append([image.row, image.group])
    for split, content in contents.items():
        for entry in content["annotations"]:
            lines.append([split, *(entry.get(key) for key in ("id", "image_id", "category_id", "segmentation"))])
    return sha256_of_values(lines)


def _image_fingerprints(images: tuple[ImageRecord, ...], contents: dict) -> tuple[str, ...]:
    """Return a SHA-256 of each image, by row: of its name, content, group, and annotations without ids and places."""
    shapes = defaultdict(list)
    for split, content in contents.items():
        for entry in content["annotations"]:
            shapes[split, str(entry.get("image_id"))].append([entry.get("category_id"), entry.get("segmentation")])
    return tuple(
        sha256_of_values([[image.file_name, image.group, *_content(image)], *shapes[image.split, str(image.image_id)]])
        for image in images
    )


def _content(image: ImageRecord) -> list[Any]:
    return [image.height, image.width, image.labelled, image.sha256]
