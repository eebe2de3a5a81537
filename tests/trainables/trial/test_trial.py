"""Trial: killed at any moment, it ends as one that was never killed."""

import os
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch

from tests import tiny
from trainables.errors import DamagedFileError
from trainables.files import read_json, write_text
from trainables.hardware.precision import choose_precision
from trainables.inference.evaluate import predict_maps
from trainables.models import build_model
from trainables.trial.files import TrialFiles
from trainables.trial.trial import Trial

pytestmark = pytest.mark.usefixtures("one_thread")

HOW = {"epochs": 3, "augmentation": "light", "ema_decay": 0.5}


@pytest.fixture
def files(tmp_path):
    return TrialFiles(tmp_path / "0001")


def start(study, files, **changes):
    """A process that takes the trial up: it knows nothing but its files."""
    return Trial(tiny.config(**{**HOW, **changes}), study, files)


@pytest.fixture(scope="module")
def unbroken(study, one_thread, tmp_path_factory):
    """The files of a trial that was never killed."""
    files = TrialFiles(tmp_path_factory.mktemp("unbroken") / "0001")
    trial = start(study, files)
    while not trial.finished:
        trial.next_epoch()
    return files


def test_every_epoch_is_in_the_ledger_when_it_is_reported(study, files):
    trial = start(study, files)
    record = trial.next_epoch()
    assert files.records() == [record]
    assert record["epoch"] == 1
    assert not trial.finished
    assert read_json(files.config)["head"] == "segformer"


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_killed_trial_ends_as_an_unbroken_one(study, files, unbroken, killed_after):
    first = start(study, files)
    for _ in range(killed_after):
        first.next_epoch()
    second = start(study, files)
    assert [second.next_epoch()["epoch"] for _ in range(3 - killed_after)] == list(range(killed_after + 1, 4))
    assert second.finished
    assert tiny.timeless(files.records()) == tiny.timeless(unbroken.records())
    assert np.array_equal(np.load(files.best_maps), np.load(unbroken.best_maps))


def test_a_kill_between_state_and_line_loses_nothing(study, files, unbroken):
    first = start(study, files)
    first.next_epoch()
    lost = first.next_epoch()
    write_text(files.epochs, files.epochs.read_text().splitlines()[0] + "\n")
    second = start(study, files)
    assert second.next_epoch() == lost  # read back, not trained again: its times are the same
    assert [record["epoch"] for record in files.records()] == [1, 2]
    second.next_epoch()
    assert tiny.timeless(files.records()) == tiny.timeless(unbroken.records())


def test_a_kill_before_the_state_trains_that_epoch_again(study, files, unbroken):
    """The maps may be of an epoch that has no line yet."""
    first = start(study, files)
    first.next_epoch()
    state, line = files.state.read_bytes(), files.epochs.read_text()
    first.next_epoch()
    files.state.write_bytes(state)
    write_text(files.epochs, line)
    second = start(study, files)
    second.next_epoch()
    second.next_epoch()
    assert tiny.timeless(files.records()) == tiny.timeless(unbroken.records())
    assert np.array_equal(np.load(files.best_maps), np.load(unbroken.best_maps))


def test_a_lost_state_starts_the_trial_over(study, files, unbroken):
    start(study, files).next_epoch()
    files.state.unlink()
    second = start(study, files)
    epochs = []
    while not second.finished:
        epochs.append(second.next_epoch()["epoch"])
    assert epochs == [1, 2, 3]
    assert tiny.timeless(files.records()) == tiny.timeless(unbroken.records())


def test_a_finished_trial_reports_its_last_record_and_builds_nothing(study, files):
    for epoch in (1, 2, 3):
        files.append_record({"epoch": epoch, "holdout/miou": 0.5 - epoch / 10})
    nowhere = study.__class__(study.root / "gone", "background", "", study.class_names, study.splits, files.directory)
    trial = Trial(tiny.config(**HOW), nowhere, files)
    assert trial.finished
    assert trial.next_epoch() == {"epoch": 3, "holdout/miou": 0.2}


def test_the_best_maps_are_those_of_the_best_weights(study, unbroken):
    records = unbroken.records()
    best = max(records, key=lambda record: record["holdout/miou"])
    with safetensors.safe_open(unbroken.best_weights, "pt") as opened:
        assert opened.metadata() == {"epoch": str(best["epoch"])}
    model = build_model(
        head="segformer", backbone="mobilenetv3_small_050", num_classes=3, pretrained=False, image_size=(32, 48)
    )
    model.load_state_dict(safetensors.torch.load_file(unbroken.best_weights))
    packed = study.open((32, 48))
    maps = [
        (row, one.numpy())
        for row, one in predict_maps(model, packed, (0, 1), batch_size=2, precision=choose_precision("fp32"))
    ]
    assert [one.shape for _, one in maps] == [(tiny.HEIGHT, tiny.WIDTH)] * 2  # not the 32x48 of training
    assert np.array_equal(np.load(unbroken.best_maps), np.concatenate([one.ravel() for _, one in maps]))
    target = np.concatenate([packed.full_mask(row).ravel() for row in (0, 1)])
    predicted = np.load(unbroken.best_maps)
    ious = [
        ((predicted == one) & (target == one)).sum() / ((predicted == one) | (target == one)).sum() for one in range(3)
    ]
    assert best["holdout/miou"] == pytest.approx(np.mean(ious))


def test_a_worse_epoch_replaces_neither_maps_nor_weights(study, files):
    trial = start(study, files)
    trial.next_epoch()
    kept = files.best_maps.read_bytes(), files.best_weights.read_bytes()
    trial._records[0]["holdout/miou"] = 1.0  # what comes is no better
    trial.next_epoch()
    assert (files.best_maps.read_bytes(), files.best_weights.read_bytes()) == kept


def test_nothing_in_the_state_needs_pickle(unbroken):
    state = torch.load(unbroken.state, weights_only=True)
    assert state["epoch"] == 3
    assert state["record"] == unbroken.records()[-1]
    assert not [name for name in os.listdir(unbroken.directory) if name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [(0, "has 0 epochs, but state.pt is of epoch 3"), (1, "has 1 epochs, but state.pt is of epoch 3")],
)
def test_a_ledger_that_lost_more_than_one_epoch_is_an_error(study, files, unbroken, lines, said):
    shutil.copytree(unbroken.directory, files.directory)
    kept = files.epochs.read_text().splitlines(keepends=True)[:lines]
    files.epochs.write_text("".join(kept))
    with pytest.raises(DamagedFileError, match=rf"epochs\.jsonl {said}: restore .* delete state\.pt"):
        start(study, files).next_epoch()


def test_a_state_that_is_behind_its_ledger_is_an_error(study, files):
    trial = start(study, files)
    trial.next_epoch()
    state = files.state.read_bytes()
    trial.next_epoch()
    files.state.write_bytes(state)
    with pytest.raises(DamagedFileError, match=r"has 2 epochs, but state\.pt is of epoch 1"):
        start(study, files).next_epoch()


def test_the_state_of_another_model_is_an_error(study, files, unbroken):
    shutil.copytree(unbroken.directory, files.directory)
    files.epochs.write_text("".join(files.epochs.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(DamagedFileError, match=r"state\.pt is not the state of fpn on mobilenetv3_small_050"):
        start(study, files, head="fpn").next_epoch()
