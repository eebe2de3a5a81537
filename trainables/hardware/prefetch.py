"""Work that threads do ahead of the code that takes its results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any


def work_ahead(
    pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any], *, ahead: int
) -> Iterator[Any]:
    """Yield `work(item)` for each item, in order, as `pool.map` does, but with at most `ahead` results waiting."""
    items = iter(items)
    futures: deque[Future] = deque(pool.submit(work, item) for item in islice(items, ahead))
    while futures:
        done = futures.popleft().result()
        futures.extend(pool.submit(work, item) for item in islice(items, 1))
        yield done
