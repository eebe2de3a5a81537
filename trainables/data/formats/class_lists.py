"""The classes that the values or colours of a mask stand for: of well-known data sets, and from a user's file."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from trainables.data.formats.imported import read_lines
from trainables.errors import UserError

Colour = tuple[int, int, int]
MOST = 2**31 - 1  # of the values of masks
LABELME_IGNORED = "__ignore__"

VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
CITYSCAPES_CLASSES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car",
    27: "truck", 28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
CITYSCAPES_VOID = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, 255)  # 255 is -1, the licence plate


@dataclass(frozen=True)
class ClassList:
    """Names by mask value, the values that stand for no class, and the value of each colour of a coloured mask."""

    names: dict[int, str]
    void: tuple[int, ...]
    colours: dict[Colour, int] = field(default_factory=dict)

    @cached_property
    def value_of_colour(self) -> np.ndarray:
        """Return the values of all colours, int32 (2**24,), in the order of red, green, blue; -1 for those of no class.

        A table is used because sorting the colours of all pixels takes seconds for a large mask. It is made once
        because making it takes longer than looking up a small mask.
        """
        values = np.full((256, 256, 256), -1, np.int32)
        for colour, value in self.colours.items():
            values[colour] = value
        return values.ravel()


def voc_colour(value: int) -> Colour:
    """Return the colour of a value in VOC's palette: its bits, from the lowest, go to red, green, blue in turn."""
    red = green = blue = 0
    for index in range(8):
        red |= (value >> (3 * index) & 1) << (7 - index)
        green |= (value >> (3 * index + 1) & 1) << (7 - index)
        blue |= (value >> (3 * index + 2) & 1) << (7 - index)
    return red, green, blue


def voc() -> ClassList:
    values = (*range(len(VOC_NAMES)), 255)
    return ClassList(dict(enumerate(VOC_NAMES)), (255,), {voc_colour(value): value for value in values})


def cityscapes(*, train_ids: bool) -> ClassList:
    """Return Cityscapes' evaluated classes by the values of *_labelIds.png, or of *_labelTrainIds.png."""
    if train_ids:
        return ClassList(dict(enumerate(CITYSCAPES_CLASSES.values())), (255,))
    return ClassList(dict(CITYSCAPES_CLASSES), CITYSCAPES_VOID)


def ade20k(objects: Path) -> ClassList:
    """Return the classes of objectInfo150.txt: a table with tabs, its first column the value, its last the name.

    Raises UserError for a line that is no such row.
    """
    rows = [line.split("\t") for line in read_lines(objects)[1:]]
    names = {}
    for number, row in enumerate(rows, start=2):
        if len(row) < 2 or not row[0].strip().isdigit():
            raise UserError(f"{objects}, line {number}: is no row of a value, tabs and a name; take ADE20K's own file")
        names[int(row[0])] = row[-1].split(",")[0].strip()
    return ClassList(names, (0,))


def read_class_list(file: Path) -> ClassList:
    """Return the classes of a text file with one line a class, in one of these forms, the same on every line.

    `name`: its value is the number of its line, from 0. `value name` or `name, value`: 255 is void unless it is listed.
    `red green blue name` or `name red green blue`: for masks in colour; the value is the number of the line, unless it
    is given first, as in `value name red green blue`. Commas, semicolons, colons or tabs may stand for the spaces
    beside the name, which is taken as it is. CVAT's labelmap.txt has the form `name:red,green,blue:parts:actions`.
    Empty lines, those that begin with #, a head that names columns, and the __ignore__ that labelme writes first for
    pixels of the value 255 are left out.

    Raises UserError for a line of another form, and where numbers behind the names may be values.
    """
    lines = [
        (number, line.strip())
        for number, line in enumerate(read_lines(file), start=1)
        if line.strip() and not line.startswith("#")
    ]
    lines = lines[1:] if lines and (_names_columns(lines[0][1]) or lines[0][1] == LABELME_IGNORED) else lines
    if not lines:
        raise UserError(f"{file} lists no class; write one a line")
    form = _form(lines[0][1])
    if form == "name" and _may_end_with_values([line for _, line in lines]):
        raise UserError(
            f"{file}: its lines may be names with values behind them, as {lines[0][1]!r}; "
            "write the value before each name"
        )
    names: dict[int, str] = {}
    colours: dict[Colour, int] = {}
    for index, (number, line) in enumerate(lines):
        parts = _FORMS[form].fullmatch(line)
        if parts is None or (form == "name" and _form(line) != form):
            raise UserError(f"{file}, line {number}: {line!r} is not of the form of the first line ({form})")
        numbers = {key: int(text) for key, text in parts.groupdict().items() if key != "name"}
        value = numbers.get("value", index)
        if "red" in numbers:
            colour = (numbers["red"], numbers["green"], numbers["blue"])
            if max(colour) > 255 or colour in colours:
                raise UserError(f"{file}, line {number}: the colour {colour} is above 255 or comes twice")
            colours[colour] = value
        if value > MOST:
            raise UserError(f"{file}, line {number}: the value {value} is above {MOST}, which no mask can hold")
        if value in names:
            raise UserError(f"{file}, line {number}: the value {value} comes twice")
        names[value] = parts["name"].strip()
    return ClassList(names, tuple({255} - names.keys()), colours)


_BETWEEN = r"(?:\s*[,;:]\s*|\s+)"
_COLOUR = _BETWEEN.join(f"(?P<{name}>[0-9]+)" for name in ("red", "green", "blue"))
_VALUE, _NAME, _SHORTEST_NAME = "(?P<value>[0-9]+)", "(?P<name>.+)", "(?P<name>.+?)"
_FORMS = {
    "name:red,green,blue:parts:actions": re.compile(
        "(?P<name>[^:]+):(?P<red>[0-9]+),(?P<green>[0-9]+),(?P<blue>[0-9]+):[^:]*:[^:]*"
    ),
    "red green blue name": re.compile(_COLOUR + _BETWEEN + _NAME),
    "value name red green blue": re.compile(_BETWEEN.join([_VALUE, _SHORTEST_NAME, _COLOUR])),
    "value name": re.compile(_VALUE + _BETWEEN + _NAME),
    "name red green blue": re.compile(_SHORTEST_NAME + _BETWEEN + _COLOUR),
    "name, value": re.compile(rf"{_SHORTEST_NAME}\s*[,;:=\t]\s*{_VALUE}"),
    "name": re.compile(_NAME),
}
_COLUMNS = {"id", "value", "pixel value", "index", "label", "name", "class", "class_name", "category", "r", "g", "b"}
_COLUMNS |= {"red", "green", "blue"}


def _form(line: str) -> str:
    return next(form for form, pattern in _FORMS.items() if pattern.fullmatch(line))


def _may_end_with_values(lines: list[str]) -> bool:
    """Return whether each line is a name of its own and a number of its own, with blanks between."""
    parts = [re.fullmatch(r"(.+?)\s+([0-9]+)", line) for line in lines]
    names, numbers = ({one[part] for one in parts if one} for part in (1, 2))
    return len(lines) > 1 and len(names) == len(numbers) == len(lines)


def _names_columns(line: str) -> bool:
    columns = [one.strip().lower() for one in re.split(r"[,;\t]", line)]
    return len(columns) > 1 and set(columns) <= _COLUMNS
