"""Work shared by threads that stay: a step of the selection takes milliseconds, and starting threads one or two."""

import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_threads(function: Callable[[Any], Any], items: Iterable[Any], threads: int) -> list[Any]:
    """`function` of each item, in order. The calling thread is one of `threads`; kernels release the interpreter lock.

    Raises what `function` raised for the first of the items that failed, whatever the number of threads.
    """
    items = list(items)
    helpers = min(threads, len(items)) - 1
    if helpers < 1:
        return [function(item) for item in items]
    results: list[Any] = [None] * len(items)
    errors: dict[int, BaseException] = {}
    places = iter(range(len(items)))  # shared: each thread takes the next

    def work() -> None:
        for place in places:
            if errors:  # of a place before this one: places are taken in order
                return
            try:
                results[place] = function(items[place])
            except BaseException as error:  # told below, as that of the first item
                errors[place] = error
                return

    others = [_pool(threads - 1, os.getpid()).submit(work) for _ in range(helpers)]
    work()
    for other in others:
        if not other.cancel():  # what has not begun by now finds nothing left to do
            other.result()
    if errors:
        stops = [error for error in errors.values() if not isinstance(error, Exception)]  # Ctrl-C above all
        raise stops[0] if stops else errors[min(errors)]
    return results


@functools.cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Of this process: threads do not survive a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="votes")
