"""Work shared by threads: each item once, in order, whatever fails and however it is nested."""

import threading
import time

import pytest

from ensembling.threads import in_threads


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_are_in_the_order_of_the_items(threads, count):
    assert in_threads(lambda item: 2 * item, range(count), threads) == [2 * item for item in range(count)]


def test_as_many_threads_as_asked_for_work_at_the_same_time():
    together = threading.Barrier(3, timeout=20)
    names = in_threads(lambda _: (together.wait(), threading.current_thread().name)[1], range(3), 3)
    assert len(set(names)) == 3
    assert threading.current_thread().name in names


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_first_item_that_fails_is_told(threads):
    done = []

    def work(item):
        if item in (3, 4, 5):
            time.sleep(0.02 if item == 3 else 0)
            raise ValueError(f"item {item}")
        time.sleep(0.001)
        done.append(item)

    with pytest.raises(ValueError, match="item 3"):
        in_threads(work, range(600), threads)
    assert {0, 1, 2} <= set(done)
    assert len(done) < 500  # what comes after it is left


def test_ctrl_c_is_told_before_any_other_error():
    both = threading.Barrier(2, timeout=20)

    def work(item):
        both.wait()
        raise ValueError("first") if item == 0 else KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_threads(work, range(2), 2)


def test_work_within_work_does_not_wait_for_itself():
    def outer(item):
        return sum(in_threads(lambda inner: item * inner, range(5), 2))

    assert in_threads(outer, range(6), 2) == [10 * item for item in range(6)]
