"""Refit: which models are trained for how long, on what, and what is said of their vote. Without Ray and MLflow."""

import dataclasses
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from ensembling import write_predictions
from ensembling.runs.ensemble import RefitOf
from ensembling.runs.members import open_ensemble
from search.commands.refit import refit_steps
from search.commands.refit.check_flags import check_flags
from search.commands.refit.models import refit_config, refit_models
from search.commands.refit.record import conclude_refit, log_refit, refit_words
from search.study.settings import RefitSettings, Settings
from search.study.study import new_study, stored_settings
from search.study.trial_end import holdout_masks, holdout_predictions, write_target
from tests import tiny
from trainables.config import TrialConfig
from trainables.data import load_dataset
from trainables.data.edits import Edits
from trainables.errors import UserError
from trainables.files import read_json, write_json, write_text
from trainables.study_data import StudyEdits
from trainables.training import Trainer

SIZE = (32, 48)


@pytest.mark.parametrize(
    ("best_epoch", "steps_before", "photos", "expected"),
    [
        (9, 4, 32, 4),  # 36 steps, eight in an epoch now: 4.5, and of two whole numbers the even one
        (10, 3, 20, 6),  # 30 steps, five an epoch
        (1, 1, 400, 1),  # one step of a hundred is an epoch all the same
        (3, 2, 2, 6),  # fewer photos than a batch are one step
    ],
)
def test_as_many_steps_are_trained_as_at_the_best_epoch(best_epoch, steps_before, photos, expected):
    config = tiny.config(batch_size=2, accumulate=2, epochs=10, warmup_epochs=5.0, fold=1)
    made = refit_config(config, best_epoch=best_epoch, steps_before=steps_before, photos=photos, seed=7)
    assert made.epochs == expected
    assert made.warmup_epochs == min(5.0 * steps_before / max(1, photos // 4), expected)
    rest = {"epochs": 0, "warmup_epochs": 0, "seed": 0, "fold": 0}
    assert {**made.to_dict(), **rest} == {**config.to_dict(), **rest}
    assert (made.fold, made.seed) == ("all", 7)


def test_seeds_of_one_member_stand_together_and_none_meets_anothers():
    members = [
        SimpleNamespace(name=f"m{seed}", run_id=f"id{seed}", votes=2, config=tiny.config(seed=seed)) for seed in (1, 0)
    ]
    originals = [SimpleNamespace(member=member, best_epoch=2, steps_per_epoch=3) for member in members]
    models = refit_models(originals, photos=lambda edits: 6, seeds=3, weights_dir="/there")
    assert [(one["member"], one["params"]["seed"]) for one in models] == [
        *(("m1", 1), ("m1", 3), ("m1", 5)),
        *(("m0", 0), ("m0", 2), ("m0", 4)),
    ]
    assert {(one["votes"], one["params"]["weights_dir"]) for one in models} == {(2, "/there")}
    assert all(TrialConfig.from_dict(one["params"]).epochs == 2 for one in models)


@pytest.fixture
def searched(study):
    """A study with one trial that was best at epoch 2 of 3, and the ensemble of it."""
    files = study.trial_files(1)
    params = tiny.params(fold=1, batch_size=1)
    write_json(files.suggestion, {"params": params, "sampled": {}})
    write_json(files.config, TrialConfig.from_dict(params).to_dict())
    for epoch, score in enumerate((0.2, 0.5, 0.4), start=1):
        files.append_record({"epoch": epoch, "holdout/miou": score, "train/loss": 1.0})
    write_text(files.best_weights, "weights")
    member = {"name": "mine-0001", "run_id": "abc", "study": "mine", "trial": 1, "miou": 0.5, "votes": 2, "rank": 1}
    interval = {"value": 0.47, "standard_error": 0.02, "low": 0.43, "high": 0.51}
    ensemble = {"class_names": list(study.data.class_names), "members": [{**member, "params": {}}]}
    write_json(study.ensemble_file, {**ensemble, "crossfit_miou": 0.47, "crossfit_interval": interval})
    return study


@pytest.fixture
def prepare(searched, settings, monkeypatch):
    monkeypatch.setattr(refit_steps, "find_run", lambda *_: "parent")

    def run(**changes):
        asked = {"ensemble": str(searched.ensemble_file), "runs_dir": settings.runs_dir, "name": "again"}
        refit = RefitSettings(**{**asked, "cache_dir": settings.cache_dir, **changes})
        given = {name for name, value in changes.items() if value is not None}
        console = Console(file=io.StringIO())
        return refit_steps.prepare(check_flags(refit, given, console), console)[0]

    return run


def test_everything_labelled_is_trained_on_and_nothing_is_left_to_score(prepare):
    study = prepare(seeds=2)
    assert study.data.splits.training_rows("all") == tuple(range(8))
    assert (study.data.scored, study.data.keep_last) == (False, True)
    models = study.refit["models"]
    # Four photos a step each, two epochs, are eight steps: one epoch of the eight photos there are now.
    assert [(one["params"]["epochs"], one["params"]["fold"], one["params"]["seed"]) for one in models] == [
        (1, "all", 0),
        (1, "all", 1),
    ]
    assert study.refit["run_id"] == "parent"


def test_the_holdout_can_be_kept(prepare):
    study = prepare(keep_holdout=True)
    assert (study.data.splits.holdout, study.data.splits.training_rows("all")) == ((0, 1), tuple(range(2, 8)))
    assert (study.data.scored, study.data.keep_last) == (True, True)


def test_a_refit_is_resumed_without_its_ensemble(prepare, searched, settings):
    study = prepare(seeds=2)
    with study.claimed(resume=False):
        pass
    searched.ensemble_file.unlink()
    again = prepare(ensemble=None, name=None, resume=True)
    assert (again.name, again.id, again.refit, again.data) == ("again", study.id, study.refit, study.data)
    with pytest.raises(UserError, match="--seeds 3 does not fit the study, which was started with 2"):
        prepare(ensemble=None, resume=True, seeds=3)


EDITS = Edits("edits.yaml", ({"do": "delete", "classes": ["Paper"]}, {"do": "drop_images", "images": [1, 3]}), False)


@pytest.fixture
def edited(searched):
    """The study whose only trial was trained without Paper and the third photo; the first photo is of the holdout."""
    manifest = read_json(searched.directory / "study.json")
    manifest["edits"] = [StudyEdits(EDITS, (2,)).to_dict()]
    write_json(searched.directory / "study.json", manifest)
    files = searched.trial_files(1)
    write_json(files.config, {**read_json(files.config), "edits": "edits.yaml"})
    return searched


def refitted(study):
    """The trainer of the refit's first model, after an epoch."""
    trainer = Trainer(TrialConfig.from_dict(study.refit["models"][0]["params"]), study.data)
    trainer.run_epoch()
    return trainer


def test_a_refit_trains_on_the_edited_labels_those_of_the_former_holdout_too(prepare, edited):
    study = prepare()
    assert study.data.training_rows("all", "edits.yaml") == (1, 3, 4, 5, 6, 7)
    trainer = refitted(study)
    assert not (trainer.packed.masks == 1).any()
    assert (study.data.open(SIZE).masks == 1).any()
    with study.claimed(resume=False):
        pass
    assert prepare(ensemble=None, name=None, resume=True).data == study.data


def test_photos_that_the_edits_drop_are_in_no_step_of_the_member_or_the_refit(prepare, edited):
    for epoch in range(4, 10):
        edited.trial_files(1).append_record({"epoch": epoch, "holdout/miou": 0.1 * epoch, "train/loss": 1.0})
    (model,) = prepare(keep_holdout=True).refit["models"]
    assert model["best_epoch"] == 9
    assert model["params"]["epochs"] == 5  # nine epochs of three photos are 27 steps, and now five photos are an epoch


def test_the_labels_of_a_holdout_that_is_kept_are_not_edited(prepare, edited):
    study = prepare(keep_holdout=True)
    assert study.data.training_rows("all", "edits.yaml") == (3, 4, 5, 6, 7)
    masks = refitted(study).packed.masks
    assert (masks[:2] == 1).any()
    assert not (masks[2:] == 1).any()


def test_edits_follow_the_members_data_set_to_another_place_and_no_other_labels(prepare, edited, tmp_path):
    moved = tiny.write_data(tmp_path / "moved")
    assert not (refitted(prepare(data=str(moved))).packed.masks == 1).any()
    content = json.loads((moved / "train.json").read_text())
    content["annotations"].pop()
    write_json(moved / "train.json", content)
    corrected = prepare(data=str(moved))
    assert corrected.data.edits == ()
    assert corrected.refit["models"][0]["params"]["edits"] == "none"
    assert (refitted(corrected).packed.masks == 1).any()


def test_search_and_refit_do_not_resume_each_other(prepare, settings):
    with prepare().claimed(resume=False):
        pass
    with pytest.raises(UserError, match="again is no search: resume it by segvote refit --resume --name again"):
        stored_settings(Settings(runs_dir=settings.runs_dir), "again")
    with pytest.raises(UserError, match="mine is no refit: resume it by segvote search --resume --name mine"):
        prepare(name="mine", resume=True)


def test_another_data_set_has_the_same_classes(prepare, tmp_path):
    root = tiny.write_data(tmp_path / "more")
    content = json.loads((root / "train.json").read_text())
    content["annotations"].pop()
    write_json(root / "train.json", content)
    assert prepare(data=str(root)).data.fingerprint == load_dataset(root).fingerprint
    content["categories"][1]["name"] = "Metal"
    write_json(root / "train.json", content)
    with pytest.raises(UserError, match=r"more has other classes than the ensemble mine votes for \(Glass, Metal\)"):
        prepare(data=str(root))


def test_the_default_data_set_must_be_as_it_was(prepare, searched):
    manifest = read_json(searched.directory / "study.json")
    manifest["data"]["fingerprint"] = "f" * 64
    write_json(searched.directory / "study.json", manifest)
    with pytest.raises(UserError, match="are not those that the study mine was started with"):
        prepare()
    assert prepare(data=str(searched.data.root)).data.fingerprint == searched.data.fingerprint


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("study.json", "member mine-0001 cannot be trained again without its study"),
        ("trials/0001/epochs.jsonl", "member mine-0001 cannot be trained again: .*epochs.jsonl records no epoch"),
        ("trials/0001/best.safetensors", "member mine-0001 .*best.safetensors is not there"),
    ],
)
def test_a_member_that_is_gone_is_named(prepare, searched, gone, message):
    (searched.directory / gone).unlink()
    with pytest.raises(UserError, match=message):
        prepare()


def test_an_ensemble_must_be_given(settings):
    with pytest.raises(UserError, match="--ensemble is missing"):
        check_flags(RefitSettings(runs_dir=settings.runs_dir), set(), Console())
    with pytest.raises(UserError, match=r"there is no refit in .* to resume"):
        check_flags(RefitSettings(runs_dir=settings.runs_dir, resume=True), set(), Console())


class Tracker:
    parent_id = "parent"
    final_status = "FINISHED"

    def __init__(self):
        self.client = SimpleNamespace(log_artifact=lambda *_: None)
        self.note = ""

    def trial_run_id(self, number):
        return f"run{number}"

    def describe_result(self, text):
        self.note = text


def train(study, number, score=None, status="completed"):
    files = study.trial_files(number)
    write_json(files.config, study.refit["models"][number - 1]["params"])
    files.append_record({"epoch": 1, "train/loss": 1.0, **({} if score is None else {"holdout/miou": score})})
    write_text(files.best_weights, "weights")
    write_json(files.verdict, {"status": status, "epochs": 1, "failure": None})
    return files


def test_the_ensemble_of_the_refitted_members_can_be_opened(prepare, settings):
    study, tracker = prepare(seeds=2), Tracker()
    for number in (1, 2):
        train(study, number)
    log_refit(study, tracker, conclude_refit(study, tracker))
    opened = open_ensemble(str(study.ensemble_file), settings.runs_dir, lambda: None)
    assert [(one.name, one.run_id, one.votes, one.miou) for one in opened.members] == [
        ("again-0001", "run1", 2, None),
        ("again-0002", "run2", 2, None),
    ]
    found = opened.description
    assert (found.miou, found.crossfit_miou) == (None, 0.47)
    assert found.refit_of == RefitOf(ensemble="mine", run_id="parent")
    assert found.members[1].refit_of == RefitOf(name="mine-0001", run_id="abc")
    assert "no photo is left for validation and nothing was scored. Expect about 0.470 ± 0.020" in tracker.note
    assert "the cross-fitted mIoU of the ensemble mine" in tracker.note


def test_models_that_failed_do_not_vote(prepare):
    study = prepare(seeds=2)
    train(study, 1, status="failed")
    tracker = Tracker()
    assert conclude_refit(study, tracker) is None
    assert tracker.final_status == "FAILED"
    train(study, 2)
    ensemble = conclude_refit(study, tracker)
    assert [one.name for one in ensemble.members] == ["again-0002"]
    assert "1 of 2 models failed and do not vote" in refit_words(study, ensemble)


def test_a_kept_holdout_scores_the_vote(prepare):
    study = prepare(keep_holdout=True)
    files = train(study, 1, score=0.4)
    packed = study.data.open(SIZE)
    masks = holdout_masks(study, packed)
    write_target(study, packed, masks)
    write_predictions(files.predictions, holdout_predictions(study, packed, np.zeros_like(masks)))
    ensemble = conclude_refit(study, Tracker())
    assert ensemble.members[0].miou == 0.4
    assert ensemble.miou == pytest.approx((masks == 0).mean() / 3)
    assert f"scores {ensemble.miou:.4f} on the 2 holdout images" in refit_words(study, ensemble)


def test_without_an_estimate_none_is_promised(prepare):
    study = prepare()
    study = dataclasses.replace(study, manifest={**study.manifest, "refit": {**study.refit, "crossfit_miou": None}})
    train(study, 1)
    assert "the score on new images is not known" in conclude_refit(study, Tracker()).expectation


def test_a_search_is_no_refit(settings, dataset):
    study = new_study(settings, dataset, tiny.SPLITS)
    assert (study.refit, study.data.keep_last) == (None, False)
