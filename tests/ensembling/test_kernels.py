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


def test_kernel_without_a_place_for_its_machine_code_still_compiles():
    # Numba refuses to cache a function that has no file, as it does where no cache directory can be written.
    namespace = {}
    exec("def twice(number):\n    return 2 * number", namespace)
    twice = compiled(namespace["twice"])
    assert twice(21) == 42
    assert twice.signatures


@pytest.fixture
def room(tmp_path):
    """A package of two kernels, one of which calls the other."""
    package = tmp_path / "ensembling"
    package.mkdir()
    shutil.copy(module.__file__, package)
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(INNER.format(factor=2))
    (package / "constants.py").write_text("STEP = 1")
    (package / "outer.py").write_text(OUTER)
    return package


def _run(room):
    """What the outer kernel makes of 10 in a new process, and whether its machine code was read from disk."""
    code = "from ensembling.outer import outer; print(outer(10), len(outer.stats.cache_hits))"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=room.parent, env=environment, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def test_machine_code_is_kept_until_a_kernel_or_a_constant_of_any_file_changes(room):
    assert _run(room) == ["21", "0"]
    assert _run(room) == ["21", "1"]
    (room / "inner.py").write_text(INNER.format(factor=3))
    assert _run(room) == ["31", "0"]
    (room / "constants.py").write_text("STEP = 2")
    assert _run(room) == ["32", "0"]


def test_where_the_installation_cannot_be_written_it_is_kept_in_the_users_cache(room, monkeypatch):
    home = room.parent / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    (room / "__pycache__").write_text("a file, where the directory would be")
    assert _run(room) == ["21", "0"]
    assert _run(room) == ["21", "1"]
    assert list(Path(home, "segvote").iterdir())
