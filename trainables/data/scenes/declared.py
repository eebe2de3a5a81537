"""What the files themselves say of photos that belong together: groups, bytes, names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from trainables.data.dataset import ImageRecord
from trainables.data.scenes.scenes import Joined, Scenes
from trainables.errors import UserError

# Roboflow names an augmented copy after its original: street-12_jpg.rf.0f3a….jpg. An original without a number in its
# name ("images", "download") may be any of several photos, so such names say nothing.
_ROBOFLOW_COPY = re.compile(r"(.*\d.*)\.rf\.[0-9A-Za-z]{16,}\.\w+")


def declared_scenes(images: Sequence[ImageRecord], group_by: str | None = None) -> Scenes:
    """Return the scenes that the files themselves state, without a look at the pixels; see `join_declared`."""
    joined, reasons = join_declared(images, group_by)
    numbers = joined.numbers(range(len(images)))
    return Scenes(numbers, numbers, tuple(reasons.items()))


def join_declared(images: Sequence[ImageRecord], group_by: str | None) -> tuple[Joined, Counter[str]]:
    """Put together the indices of `images` that the files say belong together; count the photos by what says so.

    These are photos of one "group" in the annotations, of the same bytes, copies that Roboflow made of one original,
    and those of whose names the regular expression `group_by` finds the same text: that of its first group, or all
    that it matches where it has none. Raises UserError where `group_by` is no regular expression or finds nothing.
    """
    pattern = _compiled(images, group_by)
    joined, indices = Joined(), defaultdict(list)
    for index, image in enumerate(images):
        for reason, value in _said(image, pattern):
            joined.join(index, (reason, value))
            indices[reason, value].append(index)
    reasons: Counter[str] = Counter()
    for (reason, _), those in indices.items():
        reasons[reason] += len(those) if len(those) > 1 else 0
    return joined, +reasons


def _said(image: ImageRecord, pattern: re.Pattern[str] | None) -> Iterator[tuple[str, str]]:
    if image.group:
        yield "a declared group", image.group
    if image.sha256:
        yield "the same bytes", image.sha256
    copy = _ROBOFLOW_COPY.fullmatch(image.file_name)
    if copy:
        yield "the name of one original", copy.group(1)
    match = pattern.search(image.file_name) if pattern else None
    if match:
        yield "--group-by", match.group(1 if pattern.groups else 0) or ""


def _compiled(images: Sequence[ImageRecord], group_by: str | None) -> re.Pattern[str] | None:
    if group_by is None:
        return None
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UserError(
            f"--group-by {group_by!r} is no regular expression ({error}): write one that finds the part of a file name "
            r"that photos of one scene share, as '(\w+)_\d+' does in drive1_0007.jpg"
        ) from error
    if not any(pattern.search(image.file_name) for image in images):
        raise UserError(
            f"--group-by {group_by!r} finds nothing in any file name, as {images[0].file_name!r}: write a regular "
            r"expression that finds the part that photos of one scene share, as '(\w+)_\d+' does in drive1_0007.jpg"
        )
    return pattern
