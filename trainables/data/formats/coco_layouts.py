"""COCO files in the layouts that others write: Roboflow's export, and COCO's own folders."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from trainables.data.annotations import checks
from trainables.data.annotations.annotation import sound_entries
from trainables.data.annotations.checks import Problem
from trainables.data.formats.detection import ROBOFLOW_FILES, split_of
from trainables.data.formats.imported import Imported, ImportOptions, LabelledPhoto, PhotosByName, Shape
from trainables.errors import UserError


def read_roboflow(source: Path, options: ImportOptions) -> Imported:
    """Return the folders train, valid and test of Roboflow's COCO export, each with photos and _annotations.coco.json.

    The category that Roboflow adds above all others, named as the project and without annotations, is left out.
    """
    files: dict[str | None, Path] = {}
    for path in sorted(source.glob(ROBOFLOW_FILES)):
        _add(files, split_of(path.parent.name), path)
    return _imported(source, files, {split: path.parent for split, path in files.items()}, options, without_top=True)


def read_coco(source: Path, options: ImportOptions) -> Imported:
    """Return the files annotations/*train*.json, *val*.json and *test*.json, with photos anywhere below `source`.

    Their names may have any capitals. One that ends in "default", as CVAT names it where a task has no subsets, is for
    training. With `skip_photos` the files may be SegVote's own, train.json and so on, which need no import otherwise.
    """
    files: dict[str | None, Path] = {}
    own = [source / f"{split}.json" for split in ("train", "val", "test")] if options.skip_photos else []
    for path in sorted(source.glob("annotations/*.json")) or filter(Path.is_file, own):
        name = path.stem.lower()
        named = next((split for split in ("train", "val", "test") if split in name), None)
        _add(files, named or ("train" if name.endswith("default") else None), path)
    return _imported(source, files, {split: source for split in files}, options, without_top=False)


def _add(files: dict[str | None, Path], split: str | None, path: Path) -> None:
    if split and split in files:
        raise UserError(f"{files[split]} and {path} are both for {split}: keep the one that has the masks")
    files[split] = path


def _imported(
    source: Path,
    files: dict[str | None, Path],
    roots: dict[str | None, Path],
    options: ImportOptions,
    *,
    without_top: bool,
) -> Imported:
    if not files or None in files:
        where = "lie in folders named" if without_top else "have names with"
        example = "train/_annotations.coco.json" if without_top else "annotations/instances_train.json"
        found = f"{files[None]} does not" if files else "there is none"
        known = ""
        if (source / "train.json").is_file():
            known = "; a directory that has a train.json needs no import, unless --skip-photos is to leave out photos"
        raise UserError(f"{source}: COCO files must {where} train, val or test, as {example} does: {found}{known}")
    finders = {split: PhotosByName(root) for split, root in roots.items()}
    contents = {split: _read(path, finders[split], labels_optional=split == "test") for split, path in files.items()}
    categories = _categories(source, files, contents)
    if without_top:
        used = {one.get("category_id") for content in contents.values() for one in content["annotations"]}
        above = {one.get("supercategory") for content in contents.values() for one in content["categories"]}
        categories = {key: name for key, name in categories.items() if key in used or name not in above}
    problems: list[Problem] = []
    notes = list(_turned(contents.values()))
    photos = _photos(source, files, contents, finders, categories, problems, notes, skip_missing=options.skip_photos)
    count = sum(len(one["images"]) for one in contents.values())
    return Imported(categories, photos, count, problems=problems, notes=notes, skip_photos=options.skip_photos)


def _read(path: Path, finder: PhotosByName, *, labels_optional: bool) -> dict:
    photo = partial(finder.below, labels=path.name)
    content, faults = checks.read_coco(path, path.name, photo, labels_optional=labels_optional)
    checks.raise_if_any(path.parent, faults)
    return content


def _turned(contents: Iterable[dict]) -> Iterator[str]:
    """Yield a sentence on the images that state no size and whose photos EXIF turns, if there are any."""
    names = [image["file_name"] for content in contents for image in content["images"] if image.get(checks.TURNED)]
    if names:
        what = f"{len(names)} photos whose size is not stated have an EXIF orientation, which is followed"
        yield f"{what}, such as {names[0]}; remove the mark from the files if the masks look turned"


def _categories(source: Path, files: dict, contents: dict) -> dict[int, str]:
    names = {split: {one["id"]: one["name"] for one in content["categories"]} for split, content in contents.items()}
    if not names.get("test"):  # its labels need not be known
        names.pop("test", None)
    first = "train" if "train" in names else next(iter(names))
    label, known = files[first].name, names[first]
    faults = [
        fault
        for split, its in names.items()
        for fault in checks.compare_categories(label, known, files[split].name, its)
    ]
    checks.raise_if_any(source, faults)
    return known


def _photos(
    source: Path,
    files: dict,
    contents: dict,
    finders: dict[str, PhotosByName],
    categories: dict[int, str],
    problems: list[Problem],
    notes: list[str],
    *,
    skip_missing: bool,
) -> Iterator[LabelledPhoto]:
    for split, content in contents.items():
        labels = str(files[split].relative_to(source))
        listed = {one["id"] for one in content["categories"]} & categories.keys()
        shapes = _shapes(labels, content, listed, problems, notes)
        for image in content["images"]:
            name, finder = image["file_name"], finders[split]
            missing = skip_missing and not finder.has(name)
            path = finder.root / name if missing else finder.below(name, f"{labels}, image {image['id']}")
            size = int(image["height"]), int(image["width"])
            own, group = tuple(shapes[image["id"]]), image.get("group")
            yield LabelledPhoto(split, path, name, *size, own, labels, group=group)


def _shapes(
    labels: str, content: dict, category_ids: set[int], problems: list[Problem], notes: list[str]
) -> dict[int, list[Shape]]:
    """Return the sound shapes by image id; `notes` grows by what a search would say of the file as a whole."""
    shapes: dict[int, list[Shape]] = defaultdict(list)
    told: list[Problem] = []
    for name, entry, segmentation, _ in sound_entries(labels, content, category_ids, problems, told):
        shapes[entry["image_id"]].append(Shape(entry["category_id"], segmentation, f"annotation {name}"))
    notes += map(str, told)
    return shapes
