"""The scores of each factor's values, and which factors matter."""

import numpy as np
import pytest

from search.report.html.factors import _parallel, _strip
from search.report.record.factors import scores_by_fold, scores_by_value
from search.report.record.importance import importances
from search.report.record.study_record import read_study_record
from trainables.files import write_json


@pytest.fixture
def study(study):
    """With its first rung at the first epoch."""
    study.manifest["settings"]["grace_period"] = 1
    return study


def write(study, number, params, scores, status="completed", **more):
    files = study.trial_files(number)
    write_json(files.suggestion, {"params": {"epochs": 9, **params}, "sampled": params})
    for epoch, score in enumerate(scores, start=1):
        files.append_record({"epoch": epoch, "holdout/miou": score, **more})
    files.write_verdict({"status": status, "epochs": len(scores), "failure": None})


def test_values_are_compared_at_the_first_rung_and_counted(study):
    write(study, 1, {"head": "unet"}, [0.2, 0.3, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    write(study, 2, {"head": "unet"}, [0.4], status="stopped")
    write(study, 3, {"head": "fcn"}, [0.1], status="stopped")
    fcn, unet = scores_by_value(read_study_record(study), "head")
    assert (fcn.label, fcn.common, fcn.best, fcn.finished, fcn.standard_error) == ("fcn", (0.1,), 0.1, 0, None)
    assert (unet.label, unet.common, unet.best, unet.finished) == ("unet", (0.2, 0.4), 0.9, 1)
    assert unet.mean == pytest.approx(0.3)
    assert unet.standard_error == pytest.approx(0.1)


def test_a_range_is_cut_into_four_parts_of_as_many_trials(study):
    for number in range(1, 13):
        write(study, number, {"lr": 10.0**-number}, [0.5])
    parts = scores_by_value(read_study_record(study), "lr")
    assert [len(part.trials) for part in parts] == [3, 3, 3, 3]
    assert parts[0].label == "1e-12 … 1e-10"


def test_values_that_were_drawn_are_labelled_in_few_digits(study):
    for number, lr in enumerate((0.0010845050423229099, 0.002), start=1):
        write(study, number, {"lr": lr, "batch_size": 8 * number}, [0.5])
    record = read_study_record(study)
    assert [one.label for one in scores_by_value(record, "lr")] == ["0.00108", "0.002"]
    assert [one.label for one in scores_by_value(record, "batch_size")] == ["8", "16"]
    assert _strip(record, "lr")["layout"]["xaxis"]["ticktext"] == ["0.00108", "0.002"]
    assert "0.00108" in str(_parallel(record, ["lr"])["layout"]["annotations"])


def test_folds_have_both_scores(study):
    write(study, 1, {"fold": 0}, [0.5], **{"fold/miou": 0.3})
    write(study, 2, {"fold": "all"}, [0.6])
    assert scores_by_fold(read_study_record(study)) == [("0", 1, 0.5, 0.3), ("all", 1, 0.6, None)]


def test_the_choice_that_decides_the_scores_is_the_most_important(study):
    rng = np.random.default_rng(0)
    for number in range(1, 41):
        params = {
            "lr": float(10 ** rng.uniform(-4, -1)),
            "head": str(rng.choice(["unet", "fcn"])),
            "dropout": float(rng.random()),
        }
        write(study, number, params, [0.3 + 0.3 * (params["head"] == "unet") + 0.05 * params["dropout"]], "stopped")
    found = importances(read_study_record(study))
    assert [one.evaluator for one in found] == ["fANOVA", "PED-ANOVA"]  # no trial ran to its end
    for one in found:
        assert (one.trials, one.epoch) == (40, 1)
        assert sum(one.shares.values()) == pytest.approx(1)
    assert max(found[0].shares, key=found[0].shares.get) == "head"
    assert found[0].shares["head"] > 0.9


def test_few_trials_have_no_importance(study):
    for number in range(1, 10):
        write(study, number, {"lr": 0.1 * number}, [0.1 * number])
    assert importances(read_study_record(study)) == []


def test_equal_scores_have_no_importance(study):
    for number in range(1, 15):
        write(study, number, {"lr": 0.1 * number}, [0.5])
    assert all(sum(one.shares.values()) == pytest.approx(1) for one in importances(read_study_record(study)))
