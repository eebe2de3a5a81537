"""Work that threads do ahead of the code that takes its results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any


def work_ahead(
    pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any], *, ahead: int
) -> Iterator[Any]:
    """Yield the results of work that threads do ahead of the caller, in the order of the items.

    Args:
        pool: The threads.
        work: The function of an item.
        items: The items.
        ahead: The most results that may wait for the caller.
    """
    items = iter(items)
    futures: deque[Future] = deque(pool.submit(work, item) for item in islice(items, ahead))
    while futures:
        done = futures.popleft().result()
        futures.extend(pool.submit(work, item) for item in islice(items, 1))
        yield done
