"""The scenes of a data set, with a bar while photos are read."""

from pathlib import Path

from rich.console import Console

from search.report.bars import Bars
from trainables.data import Dataset
from trainables.data.scenes import Scenes, find_scenes


def scenes_of(dataset: Dataset, group_by: str | None, cache_dir: Path, console: Console) -> Scenes:
    """Return the scenes of a data set, and show how far the search for them is.

    Args:
        dataset: The data set, whose photos are read once.
        group_by: The regular expression of --group-by.
        cache_dir: The directory that keeps what was found.
        console: Where the progress is shown.
    """
    with Bars(console) as bars:
        update = bars.add("Looking for photos that belong together", len(dataset.images))
        progress = lambda done, total: update(done)  # noqa: E731
        return find_scenes(dataset, group_by=group_by, cache_dir=cache_dir, progress=progress)
