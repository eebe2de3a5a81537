"""A user's own space file: it is kept with the study, and the study goes on where the file is gone."""

import dataclasses
import io

import pytest
from rich.console import Console

from search.check_flags import check_flags
from search.study.space_file import find_space
from search.study.study import new_study
from tests import tiny
from trainables.errors import UserError

SPACE = """
def suggest(trial):
    return {"head": "fpn", "backbone": "mobilenetv3_small_050", "pretrained": False, "epochs": 1, "image_size": "32"}
"""


@pytest.fixture
def console():
    return Console(file=io.StringIO())


@pytest.fixture
def started(settings, dataset, tmp_path):
    """The settings of a study of a space file, which is on disk with no trial yet."""
    (tmp_path / "mine.py").write_text(SPACE)
    settings = dataclasses.replace(settings, space=str(tmp_path / "mine.py"))
    with new_study(settings, dataset, tiny.SPLITS).claimed(resume=False):
        pass
    return settings


def resume(settings, given, console):
    asked = dataclasses.replace(settings, resume=True)
    return check_flags(asked, given, console).space


def test_a_study_whose_space_file_is_gone_goes_on_with_its_copy(started, tmp_path, console):
    assert resume(started, set(), console) == str(tmp_path / "mine.py")
    (tmp_path / "mine.py").unlink()
    kept = started.runs_dir / "mine" / "space.py"
    assert kept.read_text() == SPACE
    assert resume(started, set(), console) == str(kept)


def test_a_space_file_that_has_changed_is_said(started, tmp_path, console):
    resume(started, set(), console)
    assert "changed" not in console.file.getvalue()
    (tmp_path / "mine.py").write_text(SPACE.replace("fpn", "unet"))
    resume(started, set(), console)
    said = console.file.getvalue()
    assert "mine.py has changed since the study began: trials that are begun from now on are drawn from it" in said
    assert str(started.runs_dir / "mine" / "space.py") in said


def test_the_same_space_file_may_be_typed_by_another_path(started, tmp_path, console):
    (tmp_path / "mine.py").rename(tmp_path / "moved.py")
    moved = dataclasses.replace(started, space=str(tmp_path / "moved.py"))
    assert resume(moved, {"space"}, console) == str(started.runs_dir / "mine" / "space.py")
    (tmp_path / "moved.py").write_text(SPACE.replace("fpn", "unet"))
    with pytest.raises(UserError, match=r"--space .*moved.py does not fit the study"):
        resume(moved, {"space"}, console)


def test_a_space_of_ours_has_no_file(tmp_path):
    assert find_space("quickstart", tmp_path) == "quickstart"
