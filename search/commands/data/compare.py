"""`segvote data compare`: what differs between two annotation files."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from search.report.console import say
from trainables.data.coco import load_annotations
from trainables.data.exploration.comparison import Comparison, compare

SHOWN = 10


def run_compare(one: Path, other: Path, unlabelled: str, console: Console, *, as_json: bool = False) -> int:
    """Print what differs between two annotation files, and return the exit code, which is 0 in any case.

    Args:
        one: The first file.
        other: The second file.
        unlabelled: What pixels without annotation are.
        console: Where to print.
        as_json: Whether all differences are printed as JSON instead of the first ones in words.
    """
    with console.status("Reading both files …"):
        found = compare(*(load_annotations(path, unlabelled=unlabelled) for path in (one, other)))
    if as_json:
        print(json.dumps(dataclasses.asdict(found) | {"same": found.same}))
        return 0
    if found.same:
        say(console, f"{one} and {other} have the same images, classes and annotations")
    for title, lines in _differences(found):
        if lines:
            say(console, f"{len(lines)} {title}", style="bold")
            for line in lines[:SHOWN]:
                say(console, f"  {line}")
            if len(lines) > SHOWN:
                say(console, f"  … and {len(lines) - SHOWN} more")
    return 0


def _differences(found: Comparison) -> Sequence[tuple[str, list[str]]]:
    changes = [f"{before} → {after}: {count}" for (before, after), count in found.changes_of_class.most_common()]
    return (
        ("classes are gone", found.categories[0]),
        ("classes are new", found.categories[1]),
        ("images are gone", found.images[0]),
        ("images are new", found.images[1]),
        ("annotations are gone", [f"{image}, id {key}: {name}" for image, key, name in found.removed]),
        ("annotations are new", [f"{image}, id {key}: {name}" for image, key, name in found.added]),
        ("changes from class to class", changes),
        (
            "annotations have another class",
            [f"{image}, id {key}: {before} → {after}" for image, key, before, after in found.relabelled],
        ),
        ("annotations have another shape", [f"{image}, id {key}: IoU {iou:.3f}" for image, key, iou in found.reshaped]),
    )
