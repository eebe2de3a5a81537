"""The page: everything inside, nothing from elsewhere, and every figure what the study says."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ensembling.runs.ensemble import read_ensemble
from search.report.html.page import render
from search.report.html.top import headline
from search.report.record.gather import gather
from tests.search.report import made
from tests.search.report.conftest import no_mlflow
from trainables.errors import UserError
from trainables.files import write_json


class Page(HTMLParser):
    """What the tests look at: elements' addresses, charts, headings, texts, and data in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses, self.charts, self.titles, self.data, self.words = [], [], [], {}, []
        self._in = ()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self._in = (tag, named.get("id"), named.get("type"))
        self.addresses += [named[key] for key in ("src", "href") if key in named]
        self.charts += [named["data-figure"]] if "data-figure" in named else []

    def handle_data(self, data):
        tag, name, kind = self._in or (None, None, None)
        if tag == "script" and kind == "application/json":
            self.data[name] = json.loads(data)
        elif tag == "h2" and data.strip():
            self.titles.append(data)
        elif tag not in ("script", "style"):
            self.words.append(data)

    def handle_endtag(self, tag):
        self._in = ()


@pytest.fixture(scope="session")
def text(report):
    return render(report)


@pytest.fixture(scope="session")
def page(text):
    return Page(text)


def test_it_has_every_section_of_an_ended_search(page):
    wanted = ["Result", "The search", "What helped", "The ensemble", "Photos to look at", "All trials"]
    assert [title for title in page.titles if title in wanted] == wanted


def test_short_times_are_no_fractions_of_hours(text):
    assert re.search(r"epochs in (\d+ (s|min|h \d+ min|days)) of training", text)
    assert " hours of training" not in text


def test_it_asks_the_network_for_nothing(page):
    assert {address[:5] for address in page.addresses} <= {"data:"} | {a[:5] for a in page.addresses if a[0] == "#"}


def test_every_chart_of_the_page_has_its_data(page):
    assert set(page.charts) == set(page.data["figures"])
    assert len(page.charts) == len(set(page.charts))


def test_every_trial_can_be_shown(page, report):
    assert set(page.data["trials"]) == {str(trial.number) for trial in report.study.trials}
    points = [
        number
        for figure in page.data["figures"].values()
        for trace in figure["data"]
        for number in trace.get("customdata", [])
    ]
    assert {str(number) for number in points} <= set(page.data["trials"])
    best = page.data["trials"][str(report.study.best.number)]
    assert best["best"].startswith(f"{report.study.best.best:.4f}")
    assert best["command"].startswith("segvote search")


def test_learning_curves_are_those_of_the_ledger(page, report):
    seen = {}
    for trace in page.data["figures"]["curves"]["data"]:
        if trace["name"] != "where it was stopped":
            for number, epoch, score in zip(trace["customdata"], trace["x"], trace["y"]):
                if epoch is not None:
                    seen[number, epoch] = score
    expected = {
        (trial.number, epoch): pytest.approx(score, abs=1e-5)
        for trial in report.study.scored
        for epoch, score in enumerate(trial.scores, start=1)
    }
    assert seen == expected


def test_the_first_sentence_says_what_the_vote_scores(report):
    ensemble = report.study.ensemble
    assert f"scores {ensemble.miou:.4f} mIoU on the 2 holdout photos" in headline(report)


def test_the_first_sentence_of_a_refit_says_what_is_trained_again(report):
    settings = {"ensemble": "night"}
    refit = replace(report, study=replace(report.study, ensemble=None, settings=settings))
    assert headline(refit) == (
        "The members of night are trained again on all labelled photos: 40 of the 40 models that have begun have ended."
    )


def test_a_name_that_looks_like_markup_stays_a_name(report):
    """Names of classes and the reason of a failure come from outside."""
    evil = "</script><script>alert(1)</script>"
    first, *others = report.study.trials
    failed = replace(first, failure=evil, status="failed")
    study = replace(report.study, class_names=("Background", evil, "b"), trials=(failed, *others))
    text = render(replace(report, study=study, lacks=[evil]))
    assert evil not in text
    assert "alert(1)" in text


def test_a_search_that_has_just_begun_has_a_report(study):
    write_json(study.trial_files(1).suggestion, {"params": {"head": "unet"}, "sampled": {"head": "unet"}})
    page = Page(render(gather(study, no_mlflow)))
    assert "There is no vote yet: 0 of the 1 trials that have begun have ended, and no score yet." in page.words
    assert "All trials" in page.titles


def test_epochs_of_before_records_had_a_time_are_left_out_of_the_course(study):
    """A study that was started by an older version, and resumed by this one."""
    for number, times in ((1, [{}, {}]), (2, [{}, {"time": 2000.0}])):
        files = study.trial_files(number)
        write_json(files.suggestion, {"params": {"head": "unet"}, "sampled": {"head": "unet"}})
        for epoch, when in enumerate(times, start=1):
            files.append_record({"epoch": epoch, "holdout/miou": 0.1 * epoch, "train/loss": 1.0, **when})
    figures = Page(render(gather(study, no_mlflow))).data["figures"]
    dots, best = figures["best-so-far"]["data"]
    assert (dots["customdata"], best["y"]) == ([2], [0.2, 0.2])


def test_a_study_without_any_trial_has_a_report(study):
    assert "All trials" in Page(render(gather(study, no_mlflow))).titles


def test_a_grid_has_its_table_of_pairs(study):
    made.make_grid(study, [{"loss": loss, "seed": seed} for seed in (0, 1, 2) for loss in ("ce", "focal")], score_of)
    page = Page(render(gather(study, no_mlflow)))
    assert "One factor at a time" in page.titles
    assert "loss, compared with ce" in page.words
    assert "worse" in page.words


def score_of(point):
    return 0.5 - 0.1 * (point["loss"] == "focal") + 0.01 * point["seed"] * (1 + (point["loss"] == "focal"))


def test_what_is_missing_is_said(report):
    assert any("MLflow was not read (there is no MLflow here)" in lack for lack in report.lacks)


def test_lost_predictions_leave_the_rest_of_the_report(study):
    made.make_search(study, trials=12, epochs=3, voters=3)
    ensemble = read_ensemble(study.ensemble_file)
    study.trial_files(ensemble.members[0].trial).predictions.unlink()
    report = gather(study, no_mlflow)
    assert any("The vote could not be taken again" in lack for lack in report.lacks)
    titles = Page(render(report)).titles
    assert "The ensemble" in titles
    assert "Photos to look at" not in titles


def test_a_wrong_scores_file_is_refused_before_anything_is_written(study, tmp_path):
    with pytest.raises(UserError, match="--scores"):
        gather(study, no_mlflow, tmp_path / "none.csv")


@pytest.mark.long
def test_a_page_of_500_trials_can_be_sent_by_mail(study):
    made.make_search(study, trials=500, epochs=30, voters=10)
    assert len(render(gather(study, no_mlflow)).encode()) < 15e6
