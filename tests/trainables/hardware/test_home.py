"""Commands work where the user has no home directory."""

import os
from pathlib import Path

import pytest

from trainables.errors import UserError
from trainables.hardware.home import ensure_home


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_home_directory_is_left_alone(temporary, monkeypatch):
    monkeypatch.setenv("HOME", str(temporary))
    ensure_home()
    assert os.environ["HOME"] == str(temporary)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("home", ["nowhere", None])
def test_a_private_directory_stands_in_for_a_missing_one(temporary, monkeypatch, home):
    monkeypatch.setenv("HOME", str(temporary / (home or "")))
    if home is None:  # as for a number that is nobody's
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(Path, "home", classmethod(lambda cls: (_ for _ in ()).throw(RuntimeError("no home"))))
    ensure_home()
    made = Path(os.environ["HOME"])
    assert made.parent == temporary
    assert made.stat().st_mode & 0o777 == 0o700
    ensure_home()  # the next command finds its cache there


def test_somebody_elses_directory_is_not_taken(temporary, monkeypatch):
    monkeypatch.setenv("HOME", str(temporary / "nowhere"))
    (temporary / f"segvote-home-{os.getuid()}").mkdir(mode=0o777)
    (temporary / f"segvote-home-{os.getuid()}").chmod(0o777)
    with pytest.raises(UserError, match="is not private: set HOME to a directory of yours"):
        ensure_home()
