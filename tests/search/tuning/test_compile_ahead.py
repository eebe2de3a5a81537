"""The kernels of the vote are compiled while a search is prepared."""

import os

import psutil

from search.tuning import compile_ahead
from search.tuning.compile_ahead import KernelsCompiledAhead


def test_who_waits_finds_them_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(compile_ahead, "PROGRAM", f"open({str(tmp_path / 'done')!r}, 'w')")
    with KernelsCompiledAhead() as ahead:
        ahead.wait()
        assert (tmp_path / "done").exists()


def test_nothing_of_it_outlives_the_search(monkeypatch):
    monkeypatch.setattr(compile_ahead, "PROGRAM", "import time; time.sleep(600)")
    before = set(psutil.Process(os.getpid()).children())
    with KernelsCompiledAhead():
        (started,) = set(psutil.Process(os.getpid()).children()) - before
        assert started.nice() == psutil.Process().nice()  # the search waits for it
    assert not started.is_running()


def test_a_machine_that_starts_no_process_goes_without(monkeypatch):
    def refuse(code, low_priority):
        raise OSError("no memory")

    monkeypatch.setattr(compile_ahead, "start_process", refuse)
    with KernelsCompiledAhead() as ahead:
        ahead.wait()
