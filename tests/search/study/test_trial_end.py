"""How a trial ended, and what of it is kept."""

import numpy as np
import pytest
from PIL import Image

from ensembling import read_predictions
from search.study import trial_end
from search.study.study import new_study
from search.study.trial_end import (
    Outcome,
    check_holdout,
    holdout_masks,
    holdout_predictions,
    keep_outcome,
    write_target,
)
from tests import tiny
from trainables.data import load_dataset, pack
from trainables.data.edits import Edits, edit_whole
from trainables.errors import UserError
from trainables.files import read_json, write_json, write_text
from trainables.study_data import StudyEdits

PIXELS = 2 * tiny.WIDTH * tiny.HEIGHT


def ended(study, scores, number=1, **how):
    for epoch, score in enumerate(scores, start=1):
        study.trial_files(number).append_record({"epoch": epoch, "holdout/miou": score})
    return Outcome.of(study, number, **{"epochs": 4, "last_rung": 2, "failure": None, **how})


@pytest.mark.parametrize(
    ("scores", "how", "status", "candidate", "mlflow_status", "verdict"),
    [
        ([0.1, 0.2, 0.3, 0.2], {}, "completed", True, "FINISHED", "completed"),
        ([0.1, 0.2], {}, "stopped", True, "FINISHED", "stopped at the rung of epoch 2"),
        ([0.1], {}, "stopped", False, "FINISHED", "stopped at the rung of epoch 1"),
        ([0.1], {"goes_on": True}, "killed", False, "KILLED", "cut off after epoch 1"),
        ([0.1, 0.2, 0.3], {"goes_on": True}, "killed", True, "KILLED", "cut off after epoch 3"),
        ([], {"goes_on": True}, "killed", False, "KILLED", "cut off after epoch 0"),
        ([], {"failure": "UserError: no"}, "failed", False, "FAILED", "failed: UserError: no"),
        ([0.1, 0.2, 0.3], {"failure": "nan"}, "failed", False, "FAILED", "failed: nan"),
        ([0.1], {"failure": "nan", "goes_on": True}, "failed", False, "FAILED", "failed: nan"),
    ],
)
def test_ends_of_trials(study, scores, how, status, candidate, mlflow_status, verdict):
    outcome = ended(study, scores, **how)
    assert (outcome.status, outcome.reached_last_rung, outcome.epochs) == (status, candidate, len(scores))
    assert (outcome.mlflow_status, outcome.verdict) == (mlflow_status, verdict)


@pytest.mark.parametrize(("scores", "best"), [([0.1, 0.3, 0.2], 2), ([0.3, 0.3], 1), ([], 0)])
def test_the_best_epoch_is_the_first_of_the_highest(study, scores, best):
    assert ended(study, scores).best_epoch == best


def test_tags_are_texts(study):
    assert ended(study, [0.1, 0.2, 0.3]).tags == {
        "segvote.verdict": "stopped at the rung of epoch 3",
        "segvote.candidate": "true",
        "segvote.status": "stopped",
        "segvote.epochs": "3",
        "segvote.best_epoch": "3",
    }


def test_a_long_reason_fits_a_tag(study):
    assert len(ended(study, [], failure="x" * 9000).tags["segvote.verdict"]) == 5000


@pytest.fixture
def trained(study):
    """Files of trial 1 as a worker leaves them after two epochs."""
    files = study.trial_files(1)
    write_json(files.config, tiny.params())
    write_text(files.log, "epoch 1\n")
    maps = np.arange(PIXELS, dtype=np.uint8) % 3
    np.save(files.best_maps, maps)
    return files, maps


def test_predictions_and_a_picture_are_kept(study, trained):
    files, maps = trained
    artifacts = keep_outcome(study, ended(study, [0.1, 0.2]), files)
    assert artifacts == {files.predictions: "predictions", files.picture: None, files.config: None, files.log: None}
    predictions = read_predictions(files.predictions)
    assert np.array_equal(predictions.pixels, maps)
    assert predictions.image_ids == ("1.png", "2.png")
    assert predictions.sizes == ((tiny.HEIGHT, tiny.WIDTH),) * 2
    assert predictions.class_names == ("Background", "Paper", "Glass")
    assert predictions.fingerprint == study.holdout_fingerprint
    assert Image.open(files.picture).format == "PNG"
    assert read_json(files.verdict) == {"status": "stopped", "epochs": 2, "failure": None}


def test_a_picture_that_cannot_be_drawn_costs_neither_the_predictions_nor_the_verdict(study, trained, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such font")

    monkeypatch.setattr(trial_end, "holdout_picture", fail)
    files, _ = trained
    files.picture.write_bytes(b"of an earlier epoch, at which the trial paused")
    artifacts = keep_outcome(study, ended(study, [0.1, 0.2]), files)
    assert artifacts == {files.predictions: "predictions", files.config: None, files.log: None}
    assert read_json(files.verdict)["status"] == "stopped"
    assert "RuntimeError: no such font" in files.log.read_text()


def test_a_failed_trial_keeps_its_log_and_its_reason(study, trained):
    files, _ = trained
    assert keep_outcome(study, ended(study, [0.1], failure="nan"), files) == {files.config: None, files.log: None}
    assert read_json(files.verdict) == {"status": "failed", "epochs": 1, "failure": "nan"}
    assert not files.predictions.exists()


def test_a_killed_trial_has_no_verdict_but_its_predictions_so_far(study, trained):
    files, maps = trained
    keep_outcome(study, ended(study, [0.1], goes_on=True), files)
    assert not files.verdict.exists()
    assert np.array_equal(read_predictions(files.predictions).pixels, maps)


def test_a_kill_before_the_best_epoch_was_kept_is_made_up_for(study, trained):
    files, maps = trained
    np.save(files.maps_of(2), (maps + 1) % 3)
    np.save(files.maps_of(3), (maps + 2) % 3)  # an epoch that is not recorded
    keep_outcome(study, ended(study, [0.1, 0.2]), files)
    assert np.array_equal(read_predictions(files.predictions).pixels, (maps + 1) % 3)


def test_class_maps_of_no_recorded_epoch_are_not_kept(study, trained):
    files, _ = trained
    keep_outcome(study, ended(study, [], goes_on=True), files)
    assert not files.predictions.exists()


def test_a_verdict_is_written_once(study, trained):
    files, maps = trained
    keep_outcome(study, ended(study, [0.1, 0.2]), files)
    files.forget_training_state()
    again = keep_outcome(study, Outcome.of(study, 1, epochs=4, last_rung=2, failure="lost"), files)
    assert read_json(files.verdict) == {"status": "stopped", "epochs": 2, "failure": None}
    assert np.array_equal(read_predictions(files.predictions).pixels, maps)
    assert files.predictions not in again


def test_a_trial_that_never_trained_leaves_its_verdict_alone(study):
    files = study.trial_files(1)
    files.directory.mkdir()
    assert keep_outcome(study, ended(study, [], failure="UserError: no such head"), files) == {}
    assert read_json(files.verdict)["status"] == "failed"


def test_the_target_is_in_the_format_of_the_predictions(study):
    packed = study.data.open((32, 48))
    write_target(study, packed, holdout_masks(study, packed))
    target = read_predictions(study.target_file)
    assert target.fingerprint == study.holdout_fingerprint
    for row, (_, mask) in enumerate(target.maps()):
        assert np.array_equal(mask, packed.full_mask(row))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_class_maps_that_were_cut_off_are_named_and_give_no_verdict(study, trained, share):
    files, _ = trained
    content = files.best_maps.read_bytes()
    files.best_maps.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"best_maps\.npy is damaged .*delete best_maps\.npy, state\.pt and"):
        keep_outcome(study, ended(study, [0.1, 0.2]), files)
    assert not files.verdict.exists()


@pytest.mark.parametrize("maps", [np.zeros(PIXELS - 1, np.uint8), np.zeros(PIXELS), np.full(PIXELS, 7, np.uint8)])
def test_class_maps_of_another_size_or_type_or_class_are_named(study, trained, maps):
    files, _ = trained
    np.save(files.best_maps, maps)
    with pytest.raises(UserError, match=r"best_maps\.npy is damaged"):
        keep_outcome(study, ended(study, [0.1, 0.2]), files)


@pytest.mark.parametrize(
    ("kept", "said"),
    [((), "every labelled pixel is Background"), ((1,), None)],
    ids=["no object in the holdout", "one object"],
)
def test_a_holdout_on_which_no_score_means_anything_is_refused(settings, tmp_path, kept, said):
    """The objects of the first two photos, which are the holdout, are left out, or all but one."""
    root = tiny.write_data(tmp_path / "data")
    content = read_json(root / "train.json")
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] > 2 or one["image_id"] in kept]
    write_json(root / "train.json", content)
    dataset = load_dataset(root)
    study = new_study(settings, dataset, tiny.SPLITS)
    packed = pack(dataset, (32, 48), tmp_path / "cache")
    if said is None:
        check_holdout(study, packed)
        assert set(np.unique(holdout_masks(study, packed))) == {0, 1, 2}
    else:
        with pytest.raises(UserError, match=f"the 2 holdout images .* cannot be scored: {said}"):
            check_holdout(study, packed)


def test_the_check_of_a_holdout_reads_no_more_masks_than_it_needs(study, monkeypatch):
    packed, read = study.data.open((32, 48)), []
    full_mask = type(packed).full_mask
    monkeypatch.setattr(type(packed), "full_mask", lambda self, row: read.append(row) or full_mask(self, row))
    check_holdout(study, packed)
    assert read == [study.data.splits.holdout[0]]


@pytest.mark.parametrize("whole", [False, True])
def test_predictions_of_an_edited_holdout_say_by_which_edits(settings, dataset, whole):
    """So they are never voted on with those of another holdout; edits of training labels alone change nothing here."""
    edits = Edits("e.yaml", ({"do": "delete", "classes": ["Paper"]},), whole)
    edited = edit_whole(dataset, [edits])
    study = new_study(settings, edited, tiny.SPLITS, edits=[StudyEdits(edits)])
    packed = study.data.open((32, 48))
    masks = holdout_masks(study, packed)
    predictions, plain = (
        holdout_predictions(one, packed, masks) for one in (study, new_study(settings, dataset, tiny.SPLITS))
    )
    assert predictions.edits == (edits.fingerprint if whole else "")
    assert (predictions.fingerprint == plain.fingerprint) is not whole
    assert (masks == 1).any() is np.bool_(not whole)
