"""The checks of a COCO file and its photos. Each fault is told with its file, its id and what to do.

A fault of the data set as a whole stops the command, in one UserError that lists all such faults found together. What
leaves the data set usable becomes a Problem that is shown; the module `annotation` beside this one has those of
annotations.
"""

import json
import math
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.data.photos.photo_files import PhotoError, PhotoFacts, inspect_header
from trainables.errors import UserError
from trainables.files import check_fetched, check_unpacked

MAX_CLASSES = 255  # class ids are uint8, and 255 means "ignore"
# Names of the background in tools and languages, without punctuation.
BACKGROUNDS = frozenset(
    [
        "background", "backgrounds", "backgrnd", "bg", "hintergrund", "arrièreplan", "fondo", "sfondo", "fundo",
        "achtergrond", "фон", "배경", "背景",
    ]
)  # fmt: skip
# Names of pixels of no class, which are to be ignored, or of nothing at all.
NO_CLASSES = frozenset(
    [
        "void", "ignore", "ignored", "ignoreregion", "dontcare", "unlabeled", "unlabelled", "unannotated", "nolabel",
        "noclass", "noobject", "none", "null", "nothing", "outofroi",
    ]
)  # fmt: skip
LINE_BREAKING = ("Cc", "Zl", "Zp")  # the categories of control characters and line separators in Unicode
TURNED = "size is that of the photo as EXIF turns it"  # a key of images that state no width and height
RESTORE = "restore the photo, or write the data set without it by `segvote data import coco … --skip-photos`"
_LISTED = 20
_LONGEST_SIDE = 65535  # pycocotools counts an image's pixels in 32 bits


@dataclass(frozen=True)
class Problem:
    """One fault: its file, the id of the image, annotation or category, what is wrong and what to do.

    `id` is as the file has it. An entry without a usable id is named by its index, as in "images[3]"; None stands for
    the whole file.
    """

    file: str
    id: int | str | None
    what: str
    remedy: str

    def __str__(self) -> str:
        where = self.file if self.id is None else f"{self.file}, {_named(self.id)}"
        return f"{where}: {self.what}; {self.remedy}"


def _named(identifier: int | str) -> str:
    return f"id {identifier}" if isinstance(identifier, int) else identifier


def raise_if_any(root: Path, problems: Sequence[Problem]) -> None:
    """Raise a UserError that lists the problems (the first 20 of them), if there are any."""
    if not problems:
        return
    lines = [f"  {problem}" for problem in problems[:_LISTED]]
    if len(problems) > _LISTED:
        lines.append(f"  ... and {len(problems) - _LISTED} more like these")
    count = "one fault" if len(problems) == 1 else f"{len(problems)} faults"
    raise UserError("\n".join([f"the data set in {root} cannot be used, {count} found:", *lines]))


def read_coco(
    path: Path, name: str, photo: Callable[[str], Path], *, labels_optional: bool
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the content of a COCO file and the faults of its structure, images and categories.

    In a content without faults, the lists images, annotations and categories exist; the latter two are empty where they
    are missing and `labels_optional` is true. Ids that are written as 7.0 are whole numbers, and category names are
    stripped of blanks and have composed characters. Images without width and height get those of their photos as
    shown, and their key TURNED says whether EXIF makes rows of columns. Raises UserError where the file cannot be read
    or is not JSON.

    Args:
        path: The COCO file.
        name: Its name in faults.
        photo: Returns the path of the photo of a file name.
        labels_optional: Whether annotations and categories may be missing.
    """
    content = read_json(path.parent, path.name)
    faults = check_structure(name, content, labels_optional=labels_optional)
    if faults:
        return content, faults
    for key in ("images", "annotations", "categories"):
        for entry in content.setdefault(key, []):
            _tidy(entry)
    faults = check_images(name, content["images"]) + check_categories(name, content["categories"])
    return content, faults or list(_add_sizes(name, content["images"], photo))


def _add_sizes(file: str, images: Sequence[dict], photo: Callable[[str], Path]) -> Iterator[Problem]:
    """Add the sizes of the photos to images that state none, and yield a fault for each whose photo cannot tell."""
    for image in images:
        if not _states_size(image):
            try:
                facts = inspect_header(photo(image["file_name"]), max_megapixels=math.inf)
            except PhotoError as error:
                what = f"width and height are missing, and {image['file_name']} {error}"
                yield Problem(file, image["id"], what, "state them, or put the photo there")
            else:
                height, width = facts.shown_size
                image |= {"height": height, "width": width, TURNED: facts.turned}


def _tidy(entry: dict[str, Any]) -> None:
    for key in ("id", "image_id", "category_id"):
        value = entry.get(key)
        if isinstance(value, float) and value.is_integer():
            entry[key] = int(value)
    if isinstance(entry.get("name"), str):
        entry["name"] = unicodedata.normalize("NFC", entry["name"].strip())


def read_json(root: Path, name: str) -> Any:
    """Return the content of root/name, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises UserError where it cannot be read, is not JSON, or has a list of COCO's twice.
    """
    path = root / name
    if path.exists() and not path.is_file():  # a pipe would be waited for, and a device may have no end
        raise UserError(f"{path}: is no regular file; give the path of a COCO file")
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_with_each_list_once)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        check_unpacked(path)
        raise UserError(
            f"{path}: is not JSON in UTF-8 (byte {error.start} is none of its text); save it with that encoding"
        ) from error
    except (ValueError, RecursionError) as error:
        check_fetched(path)
        raise UserError(f"{path}: is not JSON ({error}); export the annotations again") from error


def _with_each_list_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises UserError where a list of COCO's comes twice, as in files that were joined."""
    content = dict(pairs)
    if len(content) < len(pairs):
        for key, times in Counter(key for key, _ in pairs).items():
            if times > 1 and key in ("images", "annotations", "categories"):
                raise UserError(
                    f"the key {key!r} comes twice, and one of its lists would be lost; make one list of them"
                )
    return content


def check_structure(file: str, content: Any, *, labels_optional: bool) -> list[Problem]:
    """Return faults for the lists of a COCO file that are missing, and for entries that are no objects."""
    remedy = "a COCO file is an object with the lists images, annotations and categories"
    if not isinstance(content, dict):
        return [Problem(file, None, f"is not COCO: the outermost value is {kind_of(content)}", remedy)]
    problems = []
    for key in ("images", "annotations", "categories"):
        entries = content.get(key)
        if entries is None and key not in content and labels_optional and key != "images":
            continue
        if not isinstance(entries, list):
            what = f"{key} is {kind_of(entries)}, not a list" if key in content else f"{key} is missing"
            problems.append(Problem(file, None, f"is not COCO: {what}", remedy))
            continue
        odd = [index for index, entry in enumerate(entries) if not isinstance(entry, dict)]
        problems += [Problem(file, f"{key}[{index}]", "is not an object", remedy) for index in odd]
    if not problems and not content["images"]:
        problems.append(Problem(file, None, "lists no image", "add images, or remove the file if it is not train.json"))
    return problems


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in words for messages."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def is_id(value: Any) -> bool:
    """Return whether a JSON value is a whole number (true and false are none)."""
    return type(value) is int


def _states_size(image: dict) -> bool:
    return image.get("width") is not None or image.get("height") is not None


def _is_length(value: Any) -> bool:
    return type(value) in (int, float) and 1 <= value <= _LONGEST_SIDE and value == int(value)


def check_images(file: str, images: Sequence[dict]) -> list[Problem]:
    """Return faults in keys and types of the images, file names that lead out of the directory, and ids used twice.

    Beside COCO's own keys there may be `group`, which is the same for photos that belong together.
    """
    problems = []
    for index, image in enumerate(images):
        identifier = image.get("id")
        if not is_id(identifier):
            problems.append(_bad_key(file, f"images[{index}]", image, "id", "a whole number"))
            continue
        for key in ("width", "height") if _states_size(image) else ():
            if not _is_length(image.get(key)):
                problems.append(
                    _bad_key(file, identifier, image, key, f"a whole number of pixels from 1 to {_LONGEST_SIDE}")
                )
        if not _is_file_name(image.get("file_name")):
            expected = "a path below the data directory, in characters of UTF-8"
            problems.append(_bad_key(file, identifier, image, "file_name", expected))
        group = image.get("group")
        if group is not None and not is_id(group) and not (group and _is_text(group)):
            problems.append(_bad_key(file, identifier, image, "group", "a text or a whole number, or not there"))
    return problems + duplicates(file, images, "image")


def check_categories(file: str, categories: Sequence[dict]) -> list[Problem]:
    """Return faults in keys and types of the categories, and ids used twice."""
    problems = []
    for index, category in enumerate(categories):
        if not is_id(category.get("id")):
            problems.append(_bad_key(file, f"categories[{index}]", category, "id", "a whole number"))
        elif not _is_class_name(category.get("name")):
            expected = "a text in characters of UTF-8, on one line and without control characters"
            problems.append(_bad_key(file, category["id"], category, "name", expected))
    return problems + duplicates(file, categories, "category")


def check_classes(file: str, names: Sequence[str], *, unlabelled: str) -> list[Problem]:
    """Return a fault where there are no categories, more than class maps can hold, two of one name, or the background.

    `names` are those of the categories that are classes: one that only groups others may have the name of a class.
    """
    problems = []
    for name, times in Counter(names).items():
        if times > 1:
            what = f"{times} categories have the name {name!r}"
            problems.append(Problem(file, None, what, "give each its own name, or merge them into one id"))
    most = MAX_CLASSES if unlabelled == "ignore" else MAX_CLASSES - 1
    if not names:
        problems.append(Problem(file, None, "lists no category", "add the categories that the annotations use"))
    if len(names) > most:
        what = f"lists {len(names)} categories, more than the {most} that an 8-bit class map holds"
        problems.append(Problem(file, None, what, "merge or remove categories"))
    for name in names if unlabelled == "background" else ():
        if is_background(name):
            what = f"has a category named {name!r}, and pixels without annotation are background too"
            remedy = "remove that category and its annotations, rename it, or use --unlabelled ignore"
            problems.append(Problem(file, None, what, remedy))
    return problems


def is_background(name: str) -> bool:
    """Return whether a name means the background, as "_background_", "BG" or "0: background" do."""
    return re.sub(r"^(class)?[0-9]+", "", _letters(name)) in BACKGROUNDS


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def doubtful_names(file: str, names: Sequence[str], *, unlabelled: str) -> list[Problem]:
    """Return a problem for each name that means no class, or that has the word background in it."""
    problems = []
    for name in names:
        if _letters(name) in NO_CLASSES:
            what = f"the category {name!r} has the name of pixels of no class, and is trained and scored as a class"
            remedy = "if it is none, remove its annotations, and use --unlabelled ignore to keep their pixels out"
            problems.append(Problem(file, None, what, remedy))
        elif unlabelled == "background" and "background" in _letters(name):
            what = f"the category {name!r} is a class of its own beside the pixels without annotation"
            remedy = "if it is the background, remove it and its annotations, or use --unlabelled ignore"
            problems.append(Problem(file, None, what, remedy))
    return problems


def similar_names(file: str, names: Sequence[str]) -> list[Problem]:
    """Return a problem for each set of names that look alike.

    They differ only in capitals, blanks, hyphens, width of characters, or characters that are not seen at all.
    """
    alike: dict[str, list[str]] = {}
    for name in names:
        seen = "".join(one for one in unicodedata.normalize("NFKC", name) if unicodedata.category(one) != "Cf")
        alike.setdefault(re.sub(r"[\s_-]+", " ", seen.casefold()), []).append(name)
    remedy = "they are trained as classes of their own; if they are one, give their annotations one category id"
    return [
        Problem(file, None, f"the categories {', '.join(map(repr, some))} have almost the same name", remedy)
        for some in alike.values()
        if len(some) > 1
    ]


def compare_categories(first_file: str, first: dict[int, str], file: str, second: dict[int, str]) -> list[Problem]:
    """Return a fault where the categories of a file are not among those of the training file, or are none at all.

    Args:
        first_file: The name of the training file.
        first: Its categories, names by id.
        file: The name of the other file.
        second: The categories of the other file.
    """
    differing = [
        f"id {key} is {_quoted(first.get(key))} in {first_file} and {_quoted(second.get(key))} here"
        for key in sorted(second or first)
        if first.get(key) != second.get(key)
    ]
    if not differing:
        return []
    remedy = "give both files the same category list (a category may be without annotations)"
    what = f"its categories differ from those of {first_file}: {'; '.join(differing[:_LISTED])}"
    return [Problem(file, None, what, remedy)]


def _quoted(name: str | None) -> str:
    return "absent" if name is None else repr(name)


def _bad_key(file: str, identifier: int | str, entry: dict, key: str, expected: str) -> Problem:
    what = f"{key} is {entry[key]!r}" if key in entry else f"{key} is missing"
    return Problem(file, identifier, f"{what}, expected {expected}", f"correct the entry in {file}")


def _is_text(value: Any) -> bool:
    """Return whether a value is a text that UTF-8 can encode.

    JSON can hold half of a surrogate pair, which UTF-8 cannot.
    """
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_class_name(name: Any) -> bool:
    """Return whether a value can name a class on screen: control characters would move the cursor, or do worse."""
    return _is_text(name) and bool(name) and not any(unicodedata.category(one) in LINE_BREAKING for one in name)


def _is_file_name(name: Any) -> bool:
    if not _is_text(name) or not name.strip() or "\0" in name or posixpath.isabs(name):
        return False
    return not {posixpath.normpath(one).split("/")[0] for one in (name, name.replace("\\", "/"))} & {"..", "."}


def duplicates(file: str, entries: Iterable[dict], kind: str) -> list[Problem]:
    """Return a problem for each id that several entries have; anything that is no whole number is no id."""
    times = Counter(entry["id"] for entry in entries if is_id(entry.get("id")))
    remedy = "give each its own id"
    return [
        Problem(file, identifier, f"{count} entries have this {kind} id", remedy)
        for identifier, count in times.items()
        if count > 1
    ]


def check_photo(
    file: str, image_id: int, name: str, size: tuple[int, int], facts: PhotoFacts | PhotoError, hint: str = ""
) -> list[Problem]:
    """Return a fault where the photo is missing, is no image, or does not have the size that its COCO file states.

    Args:
        file: The name of the COCO file, for messages.
        image_id: The id of the image in it.
        name: The file name of the photo in it.
        size: (height, width) as the COCO file states them.
        facts: What the photo's own file says, or why it cannot be read.
        hint: What is there instead of a missing photo.
    """
    if isinstance(facts, PhotoError):
        if hint:
            return [Problem(file, image_id, f"{name} {hint}", f"correct file_name in {file}, or rename the photo")]
        remedy = facts.remedy or RESTORE
        return [Problem(file, image_id, f"{name} {facts}", remedy)]
    if not facts.fits(*size):
        what = f"{name} is {facts.width}x{facts.height}, but {file} states {size[1]}x{size[0]}"
        remedy = "correct width and height if the annotations fit the photo, else restore the photo they were drawn on"
        return [Problem(file, image_id, what, remedy)]
    return []
