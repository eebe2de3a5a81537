"""--learn-from: what is read of other studies, what is refused, and what the search makes of it."""

import json

import numpy as np
import pytest

from search.study.choices import Choice
from search.study.settings import Settings
from search.study.space import Space
from search.tuning.searchers.other_studies import describe, make_rank_model, places_of, read_other_studies
from search.tuning.searchers.rank_model import FIRST_CANDIDATES, RankModel
from tests.search.tuning.searchers.made import write_study
from trainables.errors import UserError

SPACE = """
def suggest(trial):
    head = trial.suggest_categorical("head", ["unet", "fpn", "ocr"])
    rate = trial.suggest_float("lr", 1e-4, 1e-2, log=True)
    return {"backbone": "resnet18", "head": head, "lr": rate, "epochs": 3}
"""
GOOD = {"head": "fpn", "lr": 1e-3}


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SPACE)
    return Space.load(str(path))


@pytest.fixture
def settings(tmp_path):
    return lambda *names, **more: Settings(learn_from=names, runs_dir=tmp_path, name="mine", **more)


def test_places_compare_two_trials_at_the_last_epoch_that_both_reached():
    long_and_bad, stopped_and_good, best = [0.1, 0.1, 0.2], [0.15], [0.2, 0.1, 0.5]
    assert places_of([long_and_bad, stopped_and_good, best]) == pytest.approx([1 / 6, 3 / 6, 5 / 6])
    assert places_of([[0.1], [0.1]]) == pytest.approx([0.5, 0.5])
    assert places_of([[0.3, 0.1], [0.2, 0.25]]) == pytest.approx([0.75, 0.25])  # a trial is worth its best epoch


def test_scores_of_another_scale_teach_the_same(tmp_path, settings, space):
    curves = [[0.1], [0.4], [0.3]]
    low = [({**GOOD, "lr": rate}, curve) for rate, curve in zip((1e-4, 1e-3, 1e-2), curves)]
    high = [(sampled, [0.9 + score / 100 for score in curve]) for sampled, curve in low]
    write_study(tmp_path / "low", low)
    write_study(tmp_path / "high", high)
    one, other = read_other_studies(settings("low", "high"), space)
    assert one["trials"] == other["trials"]
    assert [trial["place"] for trial in one["trials"]] == pytest.approx([1 / 6, 5 / 6, 3 / 6], abs=1e-4)


def test_what_cannot_be_used_is_counted_and_said(tmp_path, settings, space):
    write_study(
        tmp_path / "a",
        [
            (GOOD, [0.1, 0.2]),
            ({"head": "lawin", "lr": 1e-3, "decay": 0.1}, [0.3]),
            ({"head": "unet", "lr": 1.0}, [0.2]),
            ({"decay": 0.2}, [0.2]),
            (GOOD, []),
            (GOOD, [0.5]),
        ],
        failures=[6],
    )
    (learnt,) = read_other_studies(settings("a"), space)
    assert [trial["sampled"] for trial in learnt["trials"]] == [GOOD, {"lr": 1e-3}, {"head": "unet"}]
    assert (learnt["unscored"], learnt["unlike"]) == (2, 1)
    assert learnt["left_out"] == {"head=lawin": 1, "lr=1.0": 1, "decay": 2}
    assert describe([learnt]) == (
        "3 trials of a; 2 could not be used, because they have no score; 1 could not be used, because they share no "
        "choice with this space; values that this space does not offer are left out: decay (2), head=lawin (1), "
        "lr=1.0 (1)"
    )


def test_pinned_choices_are_not_learnt(tmp_path, settings):
    (tmp_path / "mine.py").write_text(SPACE)
    write_study(tmp_path / "a", [(GOOD, [0.1]), ({"head": "unet", "lr": 1e-4}, [0.2])])
    pinned = Space.load(str(tmp_path / "mine.py"), {"head": "ocr"})
    (learnt,) = read_other_studies(settings("a"), pinned)
    assert [trial["sampled"] for trial in learnt["trials"]] == [{"lr": 1e-3}, {"lr": 1e-4}]
    with pytest.raises(UserError, match="all choices are pinned"):
        read_other_studies(settings("a"), Space.load(str(tmp_path / "mine.py"), {"head": "ocr", "lr": 1e-3}))


def test_a_study_is_found_by_its_first_name_and_counts_once(tmp_path, settings, space):
    write_study(tmp_path / "renamed", [(GOOD, [0.1]), (GOOD, [0.2])], name="first")
    assert [one["name"] for one in read_other_studies(settings("first", "renamed"), space)] == ["renamed"]


def test_what_cannot_be_learnt_from_is_refused(tmp_path, settings, space):
    trials = [(GOOD, [0.1]), (GOOD, [0.2])]
    write_study(tmp_path / "grid", trials, grid=("head=unet,fpn",))
    write_study(tmp_path / "refit", trials, refit={"members": []})
    write_study(tmp_path / "begun", [(GOOD, [0.1]), (GOOD, [])])
    for name, words in {
        "mine": "a study learns from its own trials anyway",
        "begum": "(did you mean begun?); studies there: begun, grid, refit. A study that only MLflow knows",
        "grid": "it is a grid, whose configurations were not drawn",
        "refit": "it is a refit",
        "begun": "1 of its 2 trials can be used, since 1 have no score",
    }.items():
        with pytest.raises(UserError) as refused:
            read_other_studies(settings(name), space)
        assert f"--learn-from {name}: " in str(refused.value)
        assert words in str(refused.value)
    with pytest.raises(UserError, match="--grid has none to draw"):
        settings("grid", grid=("head",))


def test_damage_is_told_with_the_file(tmp_path, settings, space):
    write_study(tmp_path / "a", [(GOOD, [0.1]), (GOOD, [0.2])])
    (tmp_path / "a" / "trials" / "0001" / "suggestion.json").write_text(json.dumps({"params": 3}))
    with pytest.raises(UserError, match=r"suggestion\.json"):
        read_other_studies(settings("a"), space)


def test_the_model_prefers_what_did_well_elsewhere():
    choices = {"head": Choice("head", values=("unet", "fpn")), "lr": Choice("lr", low=1e-4, high=1e-2, log=True)}
    rng = np.random.default_rng(0)
    drawn = [{"head": str(rng.choice(["unet", "fpn"])), "lr": float(10 ** rng.uniform(-4, -2))} for _ in range(30)]
    merit = [(one["head"] == "fpn") - abs(np.log10(one["lr"]) + 3) for one in drawn]
    model = RankModel(choices, list(zip(drawn, places_of([[score] for score in merit]))))
    assert model.expected({"head": "fpn", "lr": 1e-3}) > model.expected({"head": "unet", "lr": 1e-3})
    assert model.expected({"head": "fpn", "lr": 1e-3}) > model.expected({"head": "fpn", "lr": 1e-2})
    assert model.expected({"head": "fpn"}) > model.expected({"head": "unet"})  # a rate that is not there
    expected = [model.expected(one) for one in drawn]
    assert np.corrcoef(expected, merit)[0, 1] > 0.8


def test_what_was_learnt_fades():
    counts = [RankModel.candidates(trials) for trials in range(300)]
    assert counts[0] == FIRST_CANDIDATES
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


def test_nothing_learnt_is_no_model(space):
    assert make_rank_model([], space) is None
