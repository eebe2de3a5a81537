"""Which photos from elsewhere may be trained on: those that are independent of the photos that are scored."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.data.dataset import Dataset
from trainables.data.scenes.finding import Progress, find_scenes


@dataclass(frozen=True)
class Apart:
    """The `rows` of another data set that may be trained on, and the numbers of photos that may not, or should not.

    `copies` are left out because a labelled photo is the same picture, `frames` because they are of a scene that is
    only scored. `shared` are of a scene that is scored and trained on anyway, and are among the rows.
    """

    rows: tuple[int, ...]
    copies: int
    frames: int
    shared: int


def rows_apart(
    others: Dataset,
    labelled: Dataset,
    holdout: Iterable[int],
    *,
    group_by: str | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Apart:
    """Return which training photos of `others` are independent of the holdout and the test of `labelled`.

    Scenes are looked for among the photos of both together, as `find_scenes` does. Labelled photos of a fold are scored
    by the trials that leave the fold out, so that no copy of any labelled photo is taken. The photos of a test.json
    without labels are not scored, and may be trained on.

    Args:
        others: The data set whose photos are to be trained on.
        labelled: The labelled data set.
        holdout: The rows of its holdout.
        group_by: A regular expression on file names, as for `find_scenes`.
        cache_dir: The directory that keeps the scenes, as for `find_scenes`.
        progress: A function that is called with the number of photos looked at and of all.
    """
    rows = others.rows("train")
    images = [*labelled.images, *(others.images[row] for row in rows)]
    both = replace(labelled, images=tuple(replace(image, row=row) for row, image in enumerate(images)))
    scenes = find_scenes(both, group_by=group_by, cache_dir=cache_dir, progress=progress)
    scored = {*holdout, *(image.row for image in labelled.images if image.split == "test" and image.labelled)}
    known = {image.row for image in labelled.images if image.labelled}
    copied = {scenes.parts[row] for row in known}
    tested, trained = ({scenes.of_row[row] for row in those} for those in (scored, known - scored))
    kept, copies, frames, shared = [], 0, 0, 0
    for row, index in zip(rows, range(len(labelled.images), len(images))):
        scene = scenes.of_row[index]
        if scenes.parts[index] in copied:
            copies += 1
        elif scene in tested and scene not in trained:
            frames += 1
        else:
            shared += scene in tested
            kept.append(row)
    return Apart(tuple(kept), copies, frames, shared)
