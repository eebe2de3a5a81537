"""What a reader should do about the numbers of a data report: one or two sentences a finding, by figure."""

from collections import defaultdict
from typing import Any

SMALL_AT_512 = 64  # pixels after the photo's longer side is resized to 512: an eighth of a side each way
UNEVEN = 100  # times as many pixels of one class as of another
NAMED = 12  # names in a sentence


def advise(numbers: dict[str, Any], folds: int) -> dict[str, list[str]]:
    """Return the findings by the figure that they stand beside; a figure that has none is not there."""
    advice: dict[str, list[str]] = defaultdict(list)
    for figure, finding in (
        ("classes", _without_photo(numbers)),
        ("classes", _rare(numbers, folds)),
        ("classes", _uneven(numbers)),
        ("splits", _missing_in_a_split(numbers)),
        ("areas", _small(numbers)),
        ("per_image", _without_label(numbers)),
        ("sizes", _several_sizes(numbers)),
        ("hidden", _hidden(numbers)),
        ("boxes", _whole_frames(numbers)),
        ("problems", _problems(numbers)),
        ("duplicates", _duplicates(numbers)),
    ):
        if finding:
            advice[figure].append(finding)
    return dict(advice)


def _without_photo(numbers: dict[str, Any]) -> str | None:
    names = [one["name"] for one in numbers["classes"] if not one["images"]]
    if not names:
        return None
    return (
        f"No photo has {_named(names)}. mIoU leaves out a class that neither labels nor predictions have, and counts "
        "0 for it as soon as one pixel is predicted so: find photos of it, or merge or delete it with --edits."
    )


def _rare(numbers: dict[str, Any], folds: int) -> str | None:
    names = [f"{one['name']} ({one['images']})" for one in numbers["classes"] if 0 < one["images"] < folds + 1]
    if not names:
        return None
    return (
        f"Fewer photos than {folds} folds and a holdout: {_named(names)}. Some fold or the holdout will lack such a "
        "class with any method; `segvote data folds` says which. Use fewer folds, or find photos of it."
    )


def _uneven(numbers: dict[str, Any]) -> str | None:
    shown = sorted((one for one in numbers["classes"] if one["pixels"]), key=lambda one: one["pixels"])
    if len(shown) < 2 or shown[-1]["pixels"] < UNEVEN * shown[0]["pixels"]:
        return None
    times = shown[-1]["pixels"] / shown[0]["pixels"]
    return (
        f"{shown[-1]['name']} has {times:,.0f} times the pixels of {shown[0]['name']}, and both count the same in "
        "mIoU: let the search try losses that make up for it (dice, focal), and the augmentation copy_paste."
    )


def _missing_in_a_split(numbers: dict[str, Any]) -> str | None:
    splits = {name: its for name, its in numbers["splits"].items() if its["annotations"]}
    if "train" not in splits or len(splits) < 2:
        return None
    found = []
    for name, its in splits.items():
        if name == "train":
            continue
        for index, one in enumerate(numbers["classes"]):
            in_train, here = splits["train"]["images_by_class"][index], its["images_by_class"][index]
            if in_train and not here:
                found.append(f"{one['name']} is not in {name}, so no score there says how well it is recognised")
            elif here and not in_train:
                found.append(f"{one['name']} is in {name} alone, so that nothing can learn it")
    return "; ".join(found[:NAMED]) + "." if found else None


def _small(numbers: dict[str, Any]) -> str | None:
    small = numbers["small_at_512"]
    if small < 0.05 * max(1, numbers["annotations"]):
        return None
    return (
        f"{small} of {numbers['annotations']} annotations have fewer than {SMALL_AT_512} visible pixels once the "
        "photo's longer side is 512: a larger --image-size, or a head with stride 4, is worth a trial; whether they "
        "are worth keeping, --edits with min_area shows."
    )


def _without_label(numbers: dict[str, Any]) -> str | None:
    unlabelled = numbers["unlabelled_images"]
    if not unlabelled["count"]:
        return None
    return (
        f"{_counted(unlabelled['count'], 'photo has', 'photos have')} no label at all "
        f"({_named(unlabelled['listed'])}), which teaches that all there is background: look, and drop what is merely "
        "unfinished with --edits."
    )


def _several_sizes(numbers: dict[str, Any]) -> str | None:
    shapes = {round(one["width"] / one["height"], 2) for one in numbers["sizes"]}
    if len(shapes) < 2:
        return None
    return (
        f"The photos have {len(numbers['sizes'])} sizes and {len(shapes)} shapes, width over height from "
        f"{min(shapes):.2f} to {max(shapes):.2f}, and all are resized to one --image-size: choose one of the shape "
        "that most have."
    )


def _hidden(numbers: dict[str, Any]) -> str | None:
    hidden = numbers["hidden"]
    if not hidden["mostly"]:
        return None
    return (
        f"{_counted(hidden['mostly'], 'annotation is', 'annotations are')} hidden for more than half by smaller ones, "
        f"{hidden['wholly']['count']} of them wholly. Judge small annotations by their visible pixels, which "
        "min_area of --edits does: one on top may be a piece of the large one below it."
    )


def _whole_frames(numbers: dict[str, Any]) -> str | None:
    boxes = numbers["whole_frame_boxes"]
    if not boxes["count"]:
        return None
    listed = _named([f"{one['annotation']} in {one['image']}" for one in boxes["listed"]])
    boxed = _counted(boxes["count"], "annotation has", "annotations have")
    return f"{boxed} a box of the whole frame ({listed}): look whether that is meant so."


def _problems(numbers: dict[str, Any]) -> str | None:
    if not numbers["problem_count"]:
        return None
    problems = _counted(
        numbers["problem_count"], "annotation or file has a problem", "annotations or files have problems"
    )
    return f"{problems}, which the page lists; most are skipped."


def _duplicates(numbers: dict[str, Any]) -> str | None:
    found = numbers.get("duplicates")
    if not found or not found["groups"]:
        return None
    across = found["across_splits"]
    leak = (
        f"{_counted(across, 'of them has', 'of them have')} photos in several files, which makes the score too high: "
        "remove copies, and take whole scenes as holdout with `segvote search --holdout scenes`. "
        if across
        else ""
    )
    return (
        f"{_counted(found['groups'], 'group', 'groups')} of photos that belong together ({found['photos']} photos: "
        f"{found['by']}). {leak}"
        "Splits and folds keep a group in one part."
    )


def _counted(number: int, one: str, several: str) -> str:
    """Return the number with the words that fit it."""
    return f"{number} {one if number == 1 else several}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
