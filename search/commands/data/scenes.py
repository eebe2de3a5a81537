"""The scenes of a data set, with a bar while photos are read."""

from pathlib import Path

from rich.console import Console

from search.report.bars import Bars
from trainables.data import Dataset
from trainables.data.scenes import Scenes, find_scenes


def scenes_of(dataset: Dataset, group_by: str | None, cache_dir: Path, console: Console) -> Scenes:
    """Return the scenes; photos are read once, and what was found is kept below `cache_dir`."""
    with Bars(console) as bars:
        update = bars.add("Looking for photos that belong together", len(dataset.images))
        progress = lambda done, total: update(done)  # noqa: E731
        return find_scenes(dataset, group_by=group_by, cache_dir=cache_dir, progress=progress)
