"""The steps after the vote: where one of them fails, the search goes on to its end, and the failure is shown."""

import io
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from rich.console import Console

from search import final_steps
from search.report.html import page
from tests import tiny
from tests.search.report.made import make_grid, make_votes
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


class TrackerAway:
    """A tracker whose server is away."""

    client, experiment_id, parent_id = Away(), "1", "2"

    def ensemble_run(self, digest):
        return self.client.find(digest)


TRACKER = TrackerAway()


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


def test_test_photos_that_cannot_be_scored_leave_what_to_do_next(plan, console, monkeypatch):
    def fail(*_):
        raise RuntimeError("a broken photo")

    monkeypatch.setattr(final_steps, "score_test", fail)
    plan.space, plan.suggestions = SimpleNamespace(scores_test=True), []
    final_steps.say_what_is_next(plan, made_vote(plan.study), console)
    said = console.file.getvalue()
    assert "Train the members again on all labelled photos" in said
    assert "The test photos could not be scored, because of a fault in SegVote or in a library (RuntimeError: a" in said
    assert "segvote predict --ensemble mine" in said


def made_vote(study):
    make_grid(study, [{**tiny.params(), "seed": seed} for seed in (0, 1)], lambda params: 0.5)
    return make_votes(study, {1: 0.2, 2: 0.3})


def test_plots_that_cannot_be_drawn_keep_nothing_from_mlflow(plan, console, monkeypatch):
    told = []
    monkeypatch.setattr(final_steps, "plot_ensemble", lambda *_: {}["no such colour"])
    monkeypatch.setattr(final_steps, "log_vote", lambda *given: told.append(given))
    ensemble = made_vote(plan.study)
    final_steps.keep_vote(plan, TRACKER, ensemble, "segvote search --data DIR", console)
    said = console.file.getvalue()
    assert (
        "The plots of the vote could not be drawn, because of a fault in SegVote or in a library (KeyError: 'no su"
        in said
    )
    assert "try again by\n    segvote search --data DIR --resume --name mine" in said
    assert "KeyError: 'no such colour'" in (plan.study.directory / "errors.txt").read_text()
    assert told == [(plan.study, TRACKER, ensemble, [])]


def test_a_vote_that_mlflow_does_not_take_is_said_with_the_command_that_tries_again(plan, console):
    final_steps.keep_vote(plan, TRACKER, made_vote(plan.study), "segvote search --data DIR --name mine", console)
    said = console.file.getvalue()
    assert "The vote could not be logged to MLflow (the server is away). The vote is not affected; try again" in said
    assert "    segvote search --data DIR --name mine --resume\n" in said
    assert not (plan.study.directory / "errors.txt").exists()
    assert (plan.study.directory / "ensemble.png").exists()


def test_the_result_is_on_disk_and_on_screen_before_anything_is_added_to_it(plan, console, monkeypatch):
    """Even what ends the whole command, such as Ctrl-C, a picture out of memory or a kill, comes after the result."""

    def interrupt(*_):
        raise KeyboardInterrupt

    ensemble = made_vote(plan.study)
    monkeypatch.setattr(final_steps, "choose_vote", lambda *_, **__: ensemble)
    monkeypatch.setattr(final_steps, "plot_ensemble", interrupt)
    tuner = SimpleNamespace(cut_off=0, broken=0, bad_suggestions=[], not_suggested=0)
    with pytest.raises(KeyboardInterrupt):
        final_steps.conclude(plan, tuner, TRACKER, "segvote search", console)
    said = console.file.getvalue()
    assert f"{ensemble.miou:.4f}" in said
    assert f"ensemble  {plan.study.ensemble_file}" in said
