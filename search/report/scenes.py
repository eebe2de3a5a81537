"""The scenes of a data set, with a bar while photos are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from search.report.bars import Bars
from trainables.data import Dataset
from trainables.data.scenes import Scenes, find_scenes


def scenes_of(dataset: Dataset, group_by: str | None, cache_dir: Path, console: Console) -> Scenes:
    """Return the photos that belong together, and show how far the search for them is.

    Args:
        dataset: The data set, whose photos are read once: what was found is kept.
        group_by: The regular expression of --group-by.
        cache_dir: The directory that keeps what was found.
        console: Where the progress is shown.
    """
    with scene_progress(console) as progress:
        return find_scenes(dataset, group_by=group_by, cache_dir=cache_dir, progress=progress)


@contextmanager
def scene_progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with the numbers of photos done and of all, which shows them in a bar."""
    with Bars(console) as bars:
        update = None

        def show(done: int, total: int) -> None:
            nonlocal update
            update = update or bars.add("Looking for photos that belong together", total)
            update(done)

        yield show
