"""A COCO data set: train.json, and val.json and test.json if there, with photos below the same directory."""

import hashlib
import json
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from trainables.data import checks
from trainables.data.checks import Problem
from trainables.data.masks import IGNORE_INDEX, area_of, to_rle
from trainables.data.photos import PhotoError, PhotoFacts, inspect_photos
from trainables.errors import UserError

SPLITS = ("train", "val", "test")
BACKGROUND = "Background"
_SKIPPED = "skipped; correct or remove it"


@dataclass(frozen=True)
class Annotation:
    """One object; `segmentation` is a compressed RLE of the image's size, `area` its number of pixels."""

    id: int
    category_id: int
    segmentation: Any = field(repr=False)
    area: float


@dataclass(frozen=True)
class ImageRecord:
    """One photo, whose handle is its row: an `image_id` of train.json may occur again in val.json.

    `labelled` is False for the images of a test.json without annotations. Photos of one `group` (frames of a video,
    shots of one scene), as the file may say, are kept together by the splits and by the vote's estimates.
    """

    row: int
    image_id: int
    split: Literal["train", "val", "test"]
    file_name: str
    path: Path
    height: int
    width: int
    annotations: tuple[Annotation, ...]
    labelled: bool
    sha256: str = ""
    group: str = ""


@dataclass(frozen=True)
class Category:
    """A category of the files, and the class id that its pixels have in class maps."""

    id: int
    name: str
    class_id: int


@dataclass(frozen=True)
class Dataset:
    """Row i is images[i]: those of train.json, then val.json, then test.json, each in the order of its file.

    `problems` lists what was skipped or looks wrong without making the data set unusable. `fingerprint` is a SHA-256 of
    categories, annotations, file names and photo bytes, and of `unlabelled`; not of where the files lie.
    `image_fingerprints` are of each image and its annotations, by row.
    """

    root: Path
    images: tuple[ImageRecord, ...]
    categories: tuple[Category, ...]
    unlabelled: Literal["background", "ignore"]
    problems: tuple[Problem, ...]
    fingerprint: str
    image_fingerprints: tuple[str, ...] = field(default=(), repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by class id; "Background" is class 0 unless pixels without annotation are ignored."""
        names = tuple(category.name for category in self.categories)
        return names if self.unlabelled == "ignore" else (BACKGROUND, *names)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @cached_property
    def class_id_of(self) -> dict[int, int]:
        """Class id by category id."""
        return {category.id: category.class_id for category in self.categories}

    def fill(self, row: int) -> int:
        """What pixels without annotation have in the class map of a row; 255 throughout where nothing is labelled."""
        return 0 if self.unlabelled == "background" and self.images[row].labelled else IGNORE_INDEX

    def rows(self, split: str) -> tuple[int, ...]:
        """The rows of "train", "val" or "test"; empty where the data set has no such file."""
        return tuple(image.row for image in self.images if image.split == split)

    def fingerprint_of(self, rows: Sequence[int]) -> str:
        """Names these images with their masks, in this order, whatever else the data set has."""
        classes = [(category.id, category.name) for category in self.categories]
        return _sha256([[self.unlabelled, classes], *(self.image_fingerprints[row] for row in rows)])

    @property
    def summary(self) -> str:
        """Images per split, and annotations and images per class, as lines of text."""
        counts = ", ".join(f"{len(self.rows(split))} {split}" for split in SPLITS if self.rows(split))
        annotations, images = Counter(), Counter()
        for image in self.images:
            annotations.update(annotation.category_id for annotation in image.annotations)
            images.update({annotation.category_id for annotation in image.annotations})
        lines = [f"{self.root}: {counts} images, {sum(annotations.values())} annotations, {self.num_classes} classes"]
        width = max(len(category.name) for category in self.categories)
        for category in self.categories:
            objects, photos = annotations[category.id], images[category.id]
            lines.append(f"  {category.class_id:3d} {category.name:<{width}} {objects:7d} in {photos} images")
        if self.problems:
            lines.append(f"  {len(self.problems)} problems, the first: {self.problems[0]}")
        return "\n".join(lines)


def load_dataset(
    root: Path | str,
    *,
    unlabelled: Literal["background", "ignore"] = "background",
    cache_dir: Path | str | None = None,
) -> Dataset:
    """Reads and checks the data set in the directory `root`.

    Category ids, whatever they are, become classes in id order: 1..C with background 0, or, with `unlabelled` "ignore",
    0..C-1, pixels without annotation then being 255. Photos are looked for at their file_name below `root`, then below
    root/images. They are not decoded, but their bytes are hashed; `cache_dir` remembers the hashes by path, size and
    modification time.

    Raises UserError, listing every fault found, where the data set cannot be used; see trainables.data.checks.
    """
    root = Path(root).absolute()
    if unlabelled not in ("background", "ignore"):
        raise UserError(f"unlabelled is {unlabelled!r}: choose background or ignore")
    checks.check_root(root)
    contents = _read_contents(root)
    categories = _categories(root, contents, unlabelled)
    problems: list[Problem] = []
    annotations = _annotations(contents, categories, problems)
    _check_annotated(root, contents, annotations, problems)
    images = _images(root, contents, annotations, cache_dir, problems)
    fingerprint = _fingerprint(images, categories, unlabelled, contents)
    of_images = _image_fingerprints(images, contents)
    return Dataset(root, images, categories, unlabelled, tuple(problems), fingerprint, of_images)


def load_annotations(source: Path | str, *, unlabelled: Literal["background", "ignore"] = "background") -> Dataset:
    """Return what `load_dataset` returns, without a look at any photo: their hashes are empty, as are fingerprints.

    `source` is a data set's directory, or one COCO file of any name, whose images are then those of train.json.

    Raises UserError, listing every fault found, where the annotations cannot be used.
    """
    source = Path(source).absolute()
    if source.is_dir() or source.suffix != ".json":
        checks.check_root(source)
        root, contents = source, _read_contents(source)
    else:
        root, contents = source.parent, {"train": checks.read_json(source.parent, source.name)}
        checks.raise_if_any(root, _content_faults(source.name, contents["train"], labels_optional=False))
    categories = _categories(root, contents, unlabelled)
    problems: list[Problem] = []
    annotations = _annotations(contents, categories, problems)
    records: list[ImageRecord] = []
    for split, content in contents.items():
        for entry in content["images"]:
            path = photo_path(root, entry["file_name"])
            records.append(_record(len(records), split, entry, path, annotations, contents, ""))
    if root != source:
        problems = [replace(problem, file=source.name) for problem in problems]
    return Dataset(root, tuple(records), categories, unlabelled, tuple(problems), "")


def _annotations(
    contents: dict[str, dict], categories: Sequence[Category], problems: list[Problem]
) -> dict[str, dict[int, list[Annotation]]]:
    """Return the sound annotations by split and image id."""
    class_id_of = {category.id: category.class_id for category in categories}
    return {
        split: sound_annotations(f"{split}.json", content, class_id_of, problems) for split, content in contents.items()
    }


def _read_contents(root: Path) -> dict[str, dict]:
    """The parsed files by split, with lists of objects under images, annotations and categories."""
    contents, faults = {}, []
    for split in SPLITS:
        file = f"{split}.json"
        if split != "train" and not (root / file).exists():
            continue
        contents[split] = checks.read_json(root, file)
        faults += _content_faults(file, contents[split], labels_optional=split == "test")
    checks.raise_if_any(root, faults)
    return contents


def _content_faults(file: str, content: Any, *, labels_optional: bool) -> list[Problem]:
    faults = checks.check_structure(file, content, labels_optional=labels_optional)
    if faults:
        return faults
    content.setdefault("annotations", [])
    faults = checks.check_images(file, content["images"])
    return faults + checks.check_categories(file, content.setdefault("categories", []))


def _categories(root: Path, contents: dict[str, dict], unlabelled: str) -> tuple[Category, ...]:
    names = {
        split: {category["id"]: category["name"].strip() for category in content["categories"]}
        for split, content in contents.items()
    }
    faults = checks.check_classes("train.json", list(names["train"].values()), unlabelled=unlabelled)
    for split in list(names)[1:]:
        if split != "test" or names[split]:
            faults += checks.compare_categories(names["train"], f"{split}.json", names[split])
    checks.raise_if_any(root, faults)
    first = 0 if unlabelled == "ignore" else 1
    return tuple(Category(key, names["train"][key], first + place) for place, key in enumerate(sorted(names["train"])))


def sound_annotations(
    file: str, content: dict, class_id_of: dict[int, int], problems: list[Problem]
) -> dict[int, list[Annotation]]:
    """The sound annotations by image id, in file order; what is wrong with the others is added to `problems`."""
    sizes = {image["id"]: (int(image["height"]), int(image["width"])) for image in content["images"]}
    image_ids, category_ids = set(sizes), set(class_id_of)
    problems += checks.repeated_annotation_ids(file, content["annotations"])
    by_image = defaultdict(list)
    for place, entry in enumerate(content["annotations"]):
        found = checks.check_annotation(file, place, entry, image_ids, category_ids)
        problems += found
        if not found:
            by_image[entry["image_id"]] += _annotation(file, entry, sizes[entry["image_id"]], problems)
    return by_image


def _annotation(file: str, entry: dict, size: tuple[int, int], problems: list[Problem]) -> Iterator[Annotation]:
    """Yields the annotation, unless nothing of its segmentation is sound or it covers no pixel."""
    segmentation, faults = checks.sound_segmentation(entry["segmentation"], *size)
    where = f"of image {entry['image_id']}"
    problems += [Problem(file, entry["id"], f"annotation {where}: {fault}", _SKIPPED) for fault in faults]
    if segmentation is None:
        return
    rle = to_rle(segmentation, *size)
    area = area_of(rle)
    if area == 0:
        what = f"annotation {where} covers no pixel (zero area; are its coordinates in pixels?)"
        problems.append(Problem(file, entry["id"], what, _SKIPPED))
        return
    yield Annotation(entry["id"], entry["category_id"], rle, float(area))


def _check_annotated(root: Path, contents: dict, annotations: dict, problems: list[Problem]) -> None:
    faults = []
    for split in annotations:
        if annotations[split] or (split == "test" and not contents[split]["annotations"]):
            continue
        what = "has no annotation at all"
        if contents[split]["annotations"]:
            what = f"none of its {len(contents[split]['annotations'])} annotations can be used"
        faults.append(Problem(f"{split}.json", None, what, "nothing can be learnt or scored without: add annotations"))
        faults += [problem for problem in problems if problem.file == f"{split}.json"]
    checks.raise_if_any(root, faults)


def _images(
    root: Path, contents: dict[str, dict], annotations: dict, cache_dir: Path | str | None, problems: list[Problem]
) -> tuple[ImageRecord, ...]:
    """The records of all splits. Raises UserError listing the photos that are missing, broken or of another size."""
    entries = [(split, entry) for split, content in contents.items() for entry in content["images"]]
    paths = [photo_path(root, entry["file_name"]) for _, entry in entries]
    facts = _photo_facts(root, paths, cache_dir)
    records, faults = [], _twice_listed(entries, paths)
    for row, ((split, entry), path, fact) in enumerate(zip(entries, paths, facts)):
        size = (int(entry["height"]), int(entry["width"]))
        found = checks.check_photo(f"{split}.json", entry["id"], entry["file_name"], size, fact)
        faults += found
        if found:
            continue
        records.append(_record(row, split, entry, path, annotations, contents, fact.sha256))
        if fact.ambiguous:
            problems.append(_ambiguous_turn(records[-1]))
    checks.raise_if_any(root, faults)
    problems += _same_photos(records) + _split_groups(records)
    return tuple(records)


def _record(
    row: int, split: str, entry: dict, path: Path, annotations: dict, contents: dict[str, dict], sha256: str
) -> ImageRecord:
    size = int(entry["height"]), int(entry["width"])
    labelled = split != "test" or bool(contents["test"]["annotations"])
    own, group = tuple(annotations[split].get(entry["id"], ())), entry.get("group")
    group = "" if group is None else str(group)
    return ImageRecord(row, entry["id"], split, entry["file_name"], path, *size, own, labelled, sha256, group)


def photo_path(root: Path, file_name: str) -> Path:
    path = root / posixpath.normpath(file_name)
    below_images = root / "images" / posixpath.normpath(file_name)
    return below_images if below_images.is_file() and not path.is_file() else path


def _photo_facts(root: Path, paths: list[Path], cache_dir: Path | str | None) -> list[PhotoFacts | PhotoError]:
    memo = None
    if cache_dir is not None:
        memo = Path(cache_dir) / f"photos-{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.json"
    try:
        return inspect_photos(paths, memo)
    except OSError as error:
        raise UserError(f"cannot write to the cache {cache_dir} ({error}): choose another directory") from error


def _twice_listed(entries: list[tuple[str, dict]], paths: list[Path]) -> list[Problem]:
    first: dict[Path, tuple[str, dict]] = {}
    faults = []
    for (split, entry), path in zip(entries, paths):
        if path not in first:
            first[path] = split, entry
            continue
        other_split, other = first[path]
        what = f"{entry['file_name']} is also image {other['id']} of {other_split}.json"
        remedy = "a photo may be listed once only: what is trained on cannot be scored on"
        faults.append(Problem(f"{split}.json", entry["id"], what, remedy))
    return faults


def _ambiguous_turn(record: ImageRecord) -> Problem:
    what = f"{record.file_name} has an EXIF orientation that its size neither confirms nor denies; it is followed"
    return Problem(
        f"{record.split}.json", record.image_id, what, "remove the mark from the file if the masks look turned"
    )


def _same_photos(records: list[ImageRecord]) -> list[Problem]:
    first: dict[str, ImageRecord] = {}
    problems = []
    for record in records:
        other = first.setdefault(record.sha256, record)
        if other.split != record.split:
            what = f"{record.file_name} has the very bytes of {other.file_name} of {other.split}.json"
            remedy = "remove one of them: the score on it is flattered"
            problems.append(Problem(f"{record.split}.json", record.image_id, what, remedy))
    return problems


def _split_groups(records: list[ImageRecord]) -> list[Problem]:
    """A group in several files, told once for each pair of files."""
    first: dict[str, ImageRecord] = {}
    problems = {}
    for record in records:
        other = first.setdefault(record.group, record)
        if record.group and other.split != record.split:
            what = f"{record.file_name} is of group {record.group!r}, as {other.file_name} of {other.split}.json is"
            remedy = "keep a group in one file: the score on it is flattered"
            problems.setdefault(
                (record.group, record.split), Problem(f"{record.split}.json", record.image_id, what, remedy)
            )
    return list(problems.values())


def _fingerprint(
    images: tuple[ImageRecord, ...], categories: tuple[Category, ...], unlabelled: str, contents: dict
) -> str:
    """Hashes segmentations as the files have them: rasterised ones could differ in a pixel between machines."""
    lines: list[Any] = [[unlabelled, [(category.id, category.name) for category in categories]]]
    for image in images:
        lines.append([image.split, image.image_id, image.file_name, *_content(image)])
        if image.group:
            lines.append([image.row, image.group])
    for split, content in contents.items():
        for entry in content["annotations"]:
            lines.append([split, *(entry.get(key) for key in ("id", "image_id", "category_id", "segmentation"))])
    return _sha256(lines)


def _image_fingerprints(images: tuple[ImageRecord, ...], contents: dict) -> tuple[str, ...]:
    """Of each image, by row: its name, content and group, and its annotations, whatever their ids and place."""
    shapes = defaultdict(list)
    for split, content in contents.items():
        for entry in content["annotations"]:
            shapes[split, str(entry.get("image_id"))].append([entry.get("category_id"), entry.get("segmentation")])
    return tuple(
        _sha256([[image.file_name, image.group, *_content(image)], *shapes[image.split, str(image.image_id)]])
        for image in images
    )


def _content(image: ImageRecord) -> list[Any]:
    return [image.height, image.width, image.labelled, image.sha256]


def _sha256(lines: Iterable[Any]) -> str:
    """Of values that JSON can hold, one to a line."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(json.dumps(line, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
