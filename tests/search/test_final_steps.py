"""The steps after the vote: where one of them fails, the result is shown all the same, and so is the failure."""

import io
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from rich.console import Console

from search import final_steps
from search.report.html import page
from trainables.errors import UserError


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def plan(study, settings):
    """A study that has ended, and a tracker without MLflow."""
    return SimpleNamespace(study=study, settings=settings)


class Away:
    """An MLflow client whose server is away."""

    def __getattr__(self, name):
        raise MlflowException("the server is away")


TRACKER = SimpleNamespace(client=Away(), experiment_id="1")


def keep_report(plan, console):
    final_steps.keep_report(plan, TRACKER, console)
    return console.file.getvalue()


@pytest.mark.parametrize("error", [UserError("a file is damaged"), OSError("the disk is full")])
def test_a_report_that_cannot_be_written_is_said_with_the_command_that_tries_again(plan, console, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(final_steps, "write_report", fail)
    said = keep_report(plan, console)
    assert f"The report could not be written ({error}). The vote is not affected; try again by" in said
    assert f"segvote report --study mine --runs-dir {plan.settings.runs_dir}" in said
    assert not (plan.study.directory / "errors.txt").exists()


def test_a_fault_of_the_report_loses_nothing_and_is_not_hidden(plan, console, monkeypatch):
    """Here a section of the page has a mistake."""

    class Broken:
        @staticmethod
        def section(report):
            return {}["no such key"]

    monkeypatch.setattr(page, "SECTIONS", [Broken])
    said = keep_report(plan, console)
    errors = plan.study.directory / "errors.txt"
    assert "The report could not be written, because of a fault in SegVote or in a library (KeyError: 'no such" in said
    assert f"its traceback is in {errors}. The vote is not affected" in said
    assert "segvote report --study mine" in said
    assert 'return {}["no such key"]' in errors.read_text()


def test_a_traceback_that_cannot_be_kept_is_shown(plan, console, monkeypatch):
    (plan.study.directory / "errors.txt").mkdir()
    monkeypatch.setattr(page, "SECTIONS", [None])
    said = keep_report(plan, console)
    assert "its traceback is above" in said
    assert "AttributeError: 'NoneType' object has no attribute 'section'" in said


def test_ctrl_c_still_ends_the_command(plan, console, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(final_steps, "write_report", interrupt)
    with pytest.raises(KeyboardInterrupt):
        keep_report(plan, console)


def test_test_photos_that_cannot_be_scored_leave_the_result_and_the_exit_code(plan, console, monkeypatch):
    def fail(*_):
        raise RuntimeError("a broken photo")

    monkeypatch.setattr(final_steps, "score_test", fail)
    for shown in ("show_ensemble", "show_what_is_next"):
        monkeypatch.setattr(final_steps, shown, lambda *_: None)
    plan.space, plan.suggestions = SimpleNamespace(scores_test=True), []
    tuner = SimpleNamespace(cut_off=0, broken=0, bad_suggestions=[], not_suggested=0)
    assert final_steps.report(plan, tuner, SimpleNamespace(), console) == 0
    said = console.file.getvalue()
    assert "The test photos could not be scored, because of a fault in SegVote or in a library (RuntimeError: a" in said
    assert "segvote predict --ensemble mine" in said
