"""Corrections of a data set's labels, from a YAML file; the original files are never touched.

    apply_to_holdout: false         # the default: labels of the holdout and the test stay as they are
    rules:                          # applied in this order
      - relabel: {annotations: [12, 40], to: Plastic}
      - delete: {classes: [General trash], max_area: 50}
      - min_area: {pixels: 64}
      - drop_images: {images: [images/0003.jpg]}
      - merge: {classes: [Paper pack, Carton], into: Paper}     # these two need apply_to_holdout: true
      - rename: {classes: [Plastic], into: Plastics}

relabel and delete choose annotations by `annotations` (ids, or places such as "annotations[3]" where an id is missing
or is not the only one), `classes`, `images` (file names, or ids), `min_area` and `max_area`, all of which must hold.
drop_images chooses by `images`, or by `unlabelled: true`, and leaves the photos out of training. Areas are pixels that
are visible after painting: what lies under smaller annotations does not count.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from trainables.data.annotations.annotation import Annotation
from trainables.data.dataset import Category, Dataset, ImageRecord
from trainables.data.exploration.visible import visible_pixels
from trainables.data.photos.names import composed
from trainables.errors import UserError, nearest

NO_EDITS = "none"
Counts = tuple[tuple[str, int], ...]  # of labels or images changed, by rule
SELECTORS = ("annotations", "classes", "images", "min_area", "max_area")


@dataclass(frozen=True)
class Edits:
    """The content of an edits file, checked; `name` is how messages call it."""

    name: str
    rules: tuple[dict[str, Any], ...]
    apply_to_holdout: bool

    @property
    def fingerprint(self) -> str:
        """Return a SHA-256 of the rules in their order, wherever they were written."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def fingerprint_on(self, fingerprint: str, kept: Iterable[int]) -> str:
        """Return the fingerprint of a data set with that one after these edits, the rows `kept` being left alone."""
        return _sha256([fingerprint, self.fingerprint, sorted(kept)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; the name is no part of what the edits are."""
        return {"apply_to_holdout": self.apply_to_holdout, "rules": list(self.rules)}

    @classmethod
    def from_dict(cls, name: str, values: dict[str, Any]) -> "Edits":
        return cls(name, tuple(values["rules"]), values["apply_to_holdout"])


@dataclass(frozen=True)
class Edited:
    """The data set with its new labels, the rows that nobody is to train on, and how many each rule changed."""

    dataset: Dataset
    dropped: frozenset[int]
    counts: Counts


class _Loader(yaml.SafeLoader):
    """A loader that refuses a key that comes twice, of which YAML's own would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} comes twice, and one of them would be lost")
        return super().construct_mapping(node, deep)


def read_edits(file: Path) -> Edits:
    """Return the edits of a YAML file. Raises UserError, naming the rule, for what is no such file."""
    try:
        content = yaml.load(file.read_text("utf-8-sig"), _Loader)
    except OSError as error:
        raise UserError(f"--edits {file}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"--edits {file}: is no YAML ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("rules"), list) or not content["rules"]:
        raise UserError(f"--edits {file}: has no list of rules; write `rules:` and one `- relabel: …` a line")
    for key in content.keys() - {"rules", "apply_to_holdout"}:
        raise UserError(f"--edits {file}: unknown key {key!r}{nearest(key, ('rules', 'apply_to_holdout'))}")
    whole = content.get("apply_to_holdout", False)
    if type(whole) is not bool:
        raise UserError(f"--edits {file}: apply_to_holdout is {whole!r}, but must be true or false")
    rules = tuple(_checked(f"--edits {file}, rule {number}", rule) for number, rule in enumerate(content["rules"], 1))
    for number, rule in enumerate(rules, start=1):
        if rule["do"] in ("merge", "rename") and not whole:
            raise UserError(
                f"--edits {file}, rule {number}: {rule['do']} changes the classes of the holdout, too: write "
                "apply_to_holdout: true"
            )
    return Edits(str(file), rules, whole)


def _checked(where: str, rule: Any) -> dict[str, Any]:
    """Return the rule as one dict, its name under `do`."""
    if not isinstance(rule, dict) or len(rule) != 1:
        raise UserError(f"{where}: is {rule!r}, but must be one of {', '.join(_RULES)} with its keys in braces")
    name, keys = next(iter(rule.items()))
    if name not in _RULES:
        raise UserError(f"{where}: unknown rule {name!r}{nearest(name, _RULES) or ': known are ' + ', '.join(_RULES)}")
    keys = keys if isinstance(keys, dict) else {}
    allowed, needed, _ = _RULES[name]
    for key in keys:
        if key not in allowed:
            raise UserError(
                f"{where} ({name}): unknown key {key!r}{nearest(key, allowed) or '; known: ' + ', '.join(allowed)}"
            )
    for key in needed:
        if key not in keys:
            raise UserError(f"{where} ({name}): {key} is missing")
    if not keys:
        raise UserError(f"{where} ({name}): chooses nothing; give {' or '.join(allowed)}")
    for key, value in keys.items():
        if not _TYPES[key](value):
            quotes = "; names that YAML takes for something else need quotes, as '1' and 'no' do" * (key in _NAMES)
            raise UserError(f"{where} ({name}): {key} is {value!r}, which is not allowed{quotes}")
    return {"do": name, **keys}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


def _id(annotation: int | str) -> int | str:
    """Return an id that YAML took for a text because of quotes as a number; places such as "annotations[3]" stay."""
    return int(annotation) if isinstance(annotation, str) and re.fullmatch("[0-9]{1,20}", annotation) else annotation


def _is_list_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(type(one) in kinds for one in value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_NAMES = ("classes", "images", "to", "into")
_TYPES: dict[str, Callable[[Any], bool]] = {
    "annotations": _is_list_of(int, str),
    "classes": _is_list_of(str),
    "images": _is_list_of(str, int),
    "min_area": _is_number,
    "max_area": _is_number,
    "pixels": _is_number,
    "unlabelled": lambda value: value is True,
    "to": _is_name,
    "into": _is_name,
}


def apply_edits(dataset: Dataset, edits: Edits, holdout: Iterable[int] = ()) -> Edited:
    """Return the data set with the rules applied, in their order, to all labelled rows but the `holdout` and the test.

    With `apply_to_holdout` these are edited as well. Rows keep their numbers. The fingerprints of the data set and
    of edited images are new ones. Raises UserError for a rule that matches nothing, and for a class that there is not.
    """
    kept = frozenset() if edits.apply_to_holdout else frozenset(holdout)
    rows = {one.row for one in dataset.images if one.labelled and (one.split != "test" or edits.apply_to_holdout)}
    editing = _Editing(dataset, rows - kept)
    counts = []
    for number, rule in enumerate(edits.rules, start=1):
        what = f"{edits.name}, rule {number} ({rule['do']})"
        changed = _RULES[rule["do"]][2](editing, rule, what)
        if not changed:
            kept_too = "" if edits.apply_to_holdout else " among the labels that are no holdout"
            raise UserError(f"{what}: matches nothing{kept_too}; correct it or take it out: {json.dumps(rule)}")
        counts.append((f"rule {number} ({rule['do']})", changed))
    return Edited(editing.result(edits, kept), frozenset(editing.dropped), tuple(counts))


class _Editing:
    """The labels as they are after the rules so far."""

    def __init__(self, dataset: Dataset, rows: set[int]) -> None:
        self.dataset, self.rows = dataset, rows
        self.annotations = {image.row: list(image.annotations) for image in dataset.images}
        self.categories = list(dataset.categories)
        self.dropped: set[int] = set()

    def category(self, name: str, what: str) -> Category:
        for one in self.categories:
            if one.name == _class_name(name):
                return one
        names = [one.name for one in self.categories]
        raise UserError(
            f"{what}: there is no class {name!r}{nearest(name, names) or ': there are ' + ', '.join(names)}"
        )

    def chosen(self, rule: dict[str, Any], what: str) -> dict[int, list[int]]:
        """Return the indices of the annotations that the rule chooses, by row."""
        ids = {_id(one) for one in rule["annotations"]} if "annotations" in rule else None
        classes = {self.category(name, what).id for name in rule["classes"]} if "classes" in rule else None
        low, high = rule.get("min_area", 0), rule.get("max_area", float("inf"))
        found: dict[int, list[int]] = {}
        for row in self.rows_of(rule, what):
            own = self.annotations[row]
            areas = visible_pixels(own) if "min_area" in rule or "max_area" in rule else [low] * len(own)
            indices = [
                index
                for index, (one, area) in enumerate(zip(own, areas))
                if (ids is None or one.id in ids)
                and (classes is None or one.category_id in classes)
                and low <= area <= high
            ]
            if indices:
                found[row] = indices
        return found

    def rows_of(self, rule: dict[str, Any], what: str) -> list[int]:
        rows = sorted(self.rows - self.dropped)
        if "images" not in rule:
            return rows
        wanted = {composed(str(one)) for one in rule["images"]}
        known = {name for image in self.dataset.images for name in _names(image)}
        for name in sorted(wanted - known):
            raise UserError(f"{what}: there is no image {name!r}; use its file_name or its id")
        return [row for row in rows if wanted & _names(self.dataset.images[row])]

    def replace(self, chosen: dict[int, list[int]], change: Callable[[Annotation], Annotation | None]) -> int:
        """Put what `change` returns in the place of each chosen annotation; return how many are different now."""
        changed = 0
        for row, indices in chosen.items():
            own: list[Annotation | None] = list(self.annotations[row])
            for index in indices:
                before, own[index] = own[index], change(own[index])
                changed += own[index] is not before and own[index] != before
            self.annotations[row] = [one for one in own if one is not None]
        return changed

    def result(self, edits: Edits, kept: frozenset[int]) -> Dataset:
        digest = edits.fingerprint
        images, prints = [], list(self.dataset.image_fingerprints)
        for image in self.dataset.images:
            own = tuple(self.annotations[image.row])
            if own != image.annotations:
                image = replace(image, annotations=own)
                if prints:
                    prints[image.row] = _sha256([prints[image.row], digest])
            images.append(image)
        return replace(
            self.dataset,
            images=tuple(images),
            categories=tuple(self.categories),
            fingerprint=edits.fingerprint_on(self.dataset.fingerprint, kept),
            image_fingerprints=tuple(prints),
        )


def _class_name(text: str) -> str:
    """Return the name of a class as names in COCO files are read."""
    return composed(text.strip())


def _names(image: ImageRecord) -> set[str]:
    return {composed(image.file_name), composed(image.path.name), str(image.image_id)}


def _sha256(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _relabel(editing: _Editing, rule: dict[str, Any], what: str) -> int:
    to = editing.category(rule["to"], what).id
    return editing.replace(editing.chosen(rule, what), lambda one: replace(one, category_id=to))


def _delete(editing: _Editing, rule: dict[str, Any], what: str) -> int:
    return editing.replace(editing.chosen(rule, what), lambda one: None)


def _min_area(editing: _Editing, rule: dict[str, Any], what: str) -> int:
    """Delete what has fewer visible pixels. Areas are those before the rule: what it uncovers is not looked at."""
    chosen: dict[int, list[int]] = {}
    for row, indices in editing.chosen({key: rule[key] for key in SELECTORS if key in rule}, what).items():
        areas = visible_pixels(editing.annotations[row])
        few = [index for index in indices if areas[index] < rule["pixels"]]
        if few:
            chosen[row] = few
    return editing.replace(chosen, lambda one: None)


def _drop_images(editing: _Editing, rule: dict[str, Any], what: str) -> int:
    rows = set(editing.rows_of(rule, what))
    if rule.get("unlabelled"):
        rows = {row for row in rows if not editing.annotations[row]}
    editing.dropped |= rows
    return len(rows)


def _merge(editing: _Editing, rule: dict[str, Any], what: str) -> int:
    """Make one class of several; it has the place of the class `into`, or of the first of them under that name."""
    merged, name = [editing.category(name, what) for name in rule["classes"]], _class_name(rule["into"])
    into = next((one for one in editing.categories if one.name == name), merged[0])
    gone = {one.id for one in merged} - {into.id}
    everything = {row: list(range(len(own))) for row, own in editing.annotations.items()}
    editing.replace(everything, lambda one: replace(one, category_id=into.id) if one.category_id in gone else one)
    left = [replace(one, name=name) if one is into else one for one in editing.categories if one.id not in gone]
    first = min(one.class_id for one in editing.categories)
    editing.categories = [replace(one, class_id=first + index) for index, one in enumerate(left)]
    return len(gone) + (into.name != name)


def _rename(editing: _Editing, rule: dict[str, Any], what: str) -> int:
    if len(rule["classes"]) > 1 or any(one.name == _class_name(rule["into"]) for one in editing.categories):
        raise UserError(f"{what}: rename gives one class a name that no class has; merge makes one class of several")
    return _merge(editing, rule, what)


_RULES: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[_Editing, dict[str, Any], str], int]]] = {
    "relabel": ((*SELECTORS, "to"), ("to",), _relabel),
    "delete": (SELECTORS, (), _delete),
    "min_area": (("pixels", "annotations", "classes", "images"), ("pixels",), _min_area),
    "drop_images": (("images", "unlabelled"), (), _drop_images),
    "merge": (("classes", "into"), ("classes", "into"), _merge),
    "rename": (("classes", "into"), ("classes", "into"), _rename),
}


def edit_whole(
    dataset: Dataset, edits: Iterable[Edits], report: Callable[[Edits, Counts], None] = lambda *_: None
) -> Dataset:
    """Return the data set after those of the edits that change the holdout, too, without the photos that they drop.

    `report` is called with each of them and what its rules changed.
    """
    for one in edits:
        if one.apply_to_holdout:
            edited = apply_edits(dataset, one)
            report(one, edited.counts)
            dataset = without_rows(edited.dataset, edited.dropped)
    return dataset


def without_rows(dataset: Dataset, dropped: frozenset[int]) -> Dataset:
    """Return the data set without these images, its rows numbered anew."""
    left = [image for image in dataset.images if image.row not in dropped]
    prints = [dataset.image_fingerprints[image.row] for image in left] if dataset.image_fingerprints else []
    images = tuple(replace(image, row=row) for row, image in enumerate(left))
    return replace(dataset, images=images, image_fingerprints=tuple(prints))
