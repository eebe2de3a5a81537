"""Compiled kernels: where their machine code is kept, and when it is made anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ensembling import kernels as module
from ensembling.kernels import compiled

INNER = """
from ensembling.kernels import compiled

@compiled
def inner(number):
    return {factor} * number
"""
OUTER = """
from ensembling.kernels import compiled
from ensembling.constants import STEP
from ensembling.inner import inner

@compiled
def outer(number):
    return inner(number) + STEP
"""


def test_a_kernel_whose_machine_code_cannot_be_kept_still_compiles():
    # Numba refuses to cache a function that has no file, as it does where no cache directory can be written.
    namespace = {}
    exec("def twice(number):\n    return 2 * number", namespace)
    twice = compiled(namespace["twice"])
    assert twice(21) == 42
    assert twice.signatures


@pytest.fixture
def package(tmp_path):
    """A package of two kernels, one of which calls the other."""
    directory = tmp_path / "ensembling"
    directory.mkdir()
    shutil.copy(module.__file__, directory)
    (directory / "__init__.py").touch()
    (directory / "inner.py").write_text(INNER.format(factor=2))
    (directory / "constants.py").write_text("STEP = 1")
    (directory / "outer.py").write_text(OUTER)
    return directory


def _run(package):
    """What the outer kernel makes of 10 in a new process, and whether its machine code was read from disk."""
    code = "from ensembling.outer import outer; print(outer(10), len(outer.stats.cache_hits))"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def test_machine_code_is_kept_until_a_kernel_or_a_constant_of_any_file_changes(package):
    assert _run(package) == ["21", "0"]
    assert _run(package) == ["21", "1"]
    (package / "inner.py").write_text(INNER.format(factor=3))
    assert _run(package) == ["31", "0"]
    (package / "constants.py").write_text("STEP = 2")
    assert _run(package) == ["32", "0"]


def test_where_the_installation_cannot_be_written_it_is_kept_in_the_users_cache(package, monkeypatch):
    home = package.parent / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    (package / "__pycache__").write_text("a file, where the directory would be")
    assert _run(package) == ["21", "0"]
    assert _run(package) == ["21", "1"]
    assert list(Path(home, "segvote").iterdir())


def test_directories_of_earlier_code_go_when_nobody_has_used_them_for_a_month(package):
    _run(package)
    (current,) = (package / "__pycache__").glob("kernels-*")
    month = 31 * 86400
    os.utime(current, (current.stat().st_atime - month, current.stat().st_mtime - month))
    for name, age in (("kernels-unused", month), ("kernels-recent", 86400), ("unrelated", month)):
        directory = package / "__pycache__" / name
        directory.mkdir()
        (directory / "file").touch()
        os.utime(directory, (directory.stat().st_atime - age, directory.stat().st_mtime - age))
    _run(package)
    left = {path.name for path in (package / "__pycache__").iterdir() if path.is_dir()}
    assert left == {current.name, "kernels-recent", "unrelated"}
