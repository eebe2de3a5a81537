"""A thread and a process that nobody waits for."""

import threading

from search.background import BackgroundThread, start_process


def test_tasks_are_done_in_order_and_outlive_what_one_of_them_raises():
    done, errors = [], []

    def fail():
        raise ValueError("no")

    thread = BackgroundThread("test", errors.append)
    for task in (lambda: done.append(1), fail, lambda: done.append(2)):
        thread.hand(task)
    assert thread.finish()
    assert done == [1, 2]
    assert [str(error) for error in errors] == ["no"]


def test_what_has_not_begun_in_time_is_left_out():
    done, gate, begun = [], threading.Event(), threading.Event()
    thread = BackgroundThread("test", lambda error: None)
    thread.hand(lambda: (begun.set(), gate.wait(), done.append(1)))
    thread.hand(lambda: done.append(2))
    assert begun.wait(60)
    assert not thread.finish(0.01)
    gate.set()
    assert not thread.finish(0.2)
    assert done == [1]


def test_a_process_runs_its_code_out_of_reach_of_ctrl_c(tmp_path):
    code = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid() == os.getsid(0)))"
    assert start_process(code, [str(tmp_path / "told")]).wait() == 0
    assert (tmp_path / "told").read_text() == "True"
