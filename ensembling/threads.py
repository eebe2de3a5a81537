"""Work shared by threads that are kept from call to call: one step of a selection takes milliseconds only, of which
starting threads would take one or two."""

import functools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_threads(function: Callable[[Any], Any], items: Iterable[Any], threads: int) -> list[Any]:
    """Return `function` of each item, in the order of the items.

    The calling thread is one of the `threads`. Compiled kernels release the interpreter lock, so that they run at the
    same time. Raises what `function` raised for the first of the items that failed, whatever the number of threads.
    """
    items = list(items)
    helpers = min(threads, len(items)) - 1
    if helpers < 1:
        return [function(item) for item in items]
    results: list[Any] = [None] * len(items)
    errors: dict[int, BaseException] = {}
    indices = iter(range(len(items)))  # shared: each thread takes the next

    def work() -> None:
        for index in indices:
            if errors:  # of an item before this one, since items are taken in order
                return
            try:
                results[index] = function(items[index])
            except BaseException as error:  # raised below, as that of the first item
                errors[index] = error
                return

    others = [_pool(threads - 1, os.getpid()).submit(work) for _ in range(helpers)]
    work()
    for other in others:
        if not other.cancel():  # a thread that has not begun by now would find nothing left to do
            other.result()
    if errors:
        stops = [error for error in errors.values() if not isinstance(error, Exception)]  # Ctrl-C above all
        raise stops[0] if stops else errors[min(errors)]
    return results


@functools.cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of this process, since threads do not survive a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="votes")
