"""Which runs of MLflow may vote: each trial once, and none is lost in silence."""

import errno
from types import SimpleNamespace

import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from ensembling import Predictions, PredictionsError, select_ensemble, write_predictions
from ensembling.runs.candidates import load_candidates, load_target


def predictions(value):
    pixels = np.full(16, value, np.uint8)
    return Predictions(("a.png",), ((4, 4),), ("Background", "Paper"), "f" * 64, pixels)


class Store:
    """An MLflow client whose runs' artifacts are files of a directory."""

    def __init__(self, directory):
        self.directory, self.runs = directory, []

    def add(
        self, run_id, *, trial, value=0, ended=1, status="FINISHED", artifact=True, far=True, score=0.5, study="mine"
    ):
        tags = {
            "segvote.candidate": str(far).lower(),
            "segvote.status": "completed",
            "segvote.study": study,
            "segvote.trial": str(trial),
            "mlflow.parentRunId": "parent",
        }
        info = SimpleNamespace(run_id=run_id, run_name=f"mine-{trial:04d}", end_time=ended, status=status)
        self.runs.append(
            SimpleNamespace(info=info, data=SimpleNamespace(tags=tags, params={}, metrics={"holdout/miou": score}))
        )
        if artifact:
            (self.directory / run_id / "predictions").mkdir(parents=True)
            write_predictions(self.directory / run_id / "predictions" / "holdout.predictions", predictions(value))

    def search_runs(self, *_, **__):
        return self.runs

    def get_run(self, run_id):
        return SimpleNamespace(data=SimpleNamespace(params={}))

    def list_artifacts(self, run_id):
        found = sorted((self.directory / run_id).glob("*"))
        return [SimpleNamespace(path=path.name) for path in found]

    def download_artifacts(self, run_id, artifact, directory):
        return str(self.directory / run_id / artifact)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def load(store):
    # The artifact's name in messages is relative to where it was fetched to.
    return load_candidates(store, "1", ["parent"], predictions(1))


@pytest.fixture(autouse=True)
def _fetched_in_place(monkeypatch, tmp_path):
    class Directory:
        def __enter__(self):
            return str(tmp_path)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("ensembling.runs.candidates.tempfile.TemporaryDirectory", Directory)


def test_equal_scores_rank_by_trial_number_whatever_the_ids_of_the_runs(store):
    for run_id, trial in (("c", 10), ("a", 2), ("b", 9)):
        store.add(run_id, trial=trial)
    candidates, left_out = load(store)
    assert [one.trial for one in candidates] == [2, 9, 10]
    assert left_out == []
    rows, target = [one.predictions.pixels for one in candidates], np.arange(16, dtype=np.uint8) % 2
    assert select_ensemble(rows, target, 2).ranking == (0, 1, 2)


def test_candidates_of_several_studies_are_in_order_of_the_studies_names(store):
    for trial, study in enumerate(("night", "day"), start=1):
        store.add(f"run{trial}", trial=trial, study=study)
    assert [one.study for one in load(store).candidates] == ["day", "night"]


def test_a_trial_is_a_candidate_once_however_many_runs_it_has(store):
    store.add("a", trial=1, value=0, ended=5)
    store.add("b", trial=1, value=1, ended=9)
    store.add("c", trial=2, value=1, ended=7)
    candidates, _ = load(store)
    assert [(one.run_id, one.trial) for one in candidates] == [("b", 1), ("c", 2)]


def test_a_trial_that_did_not_come_far_votes_if_it_is_as_good(store):
    store.add("a", trial=1, score=0.5)
    store.add("b", trial=2, far=False, score=0.54)
    store.add("c", trial=3, far=False, score=0.49)
    assert [candidate.run_id for candidate in load(store).candidates] == ["a", "b"]


def test_a_run_whose_predictions_are_gone_is_left_out_and_said(store):
    store.add("a", trial=1)
    store.add("b", trial=2, artifact=False)
    candidates, left_out = load(store)
    assert [one.run_id for one in candidates] == ["a"]
    assert left_out == ["mine-0002 does not vote: run b has no artifact predictions in MLflow"]


def test_an_artifact_that_cannot_be_fetched_ends_the_selection(store):
    store.add("a", trial=1)
    store.add("b", trial=2)

    def fail(*_):
        raise MlflowException("API request failed")

    store.download_artifacts = fail
    with pytest.raises(
        PredictionsError, match=r"run mine-0001 \(a\): its artifact predictions cannot be fetched \(API"
    ):
        load(store)


def test_a_full_disk_for_temporary_files_ends_the_selection(store):
    store.add("a", trial=1)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    store.download_artifacts = fail
    with pytest.raises(
        OSError, match="No space left on device: set TMPDIR to a directory on a disk with more free space"
    ):
        load(store)


def test_damaged_predictions_end_the_selection(store):
    store.add("a", trial=1)
    file = store.directory / "a" / "predictions" / "holdout.predictions"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        PredictionsError, match=r"run mine-0001 \(a\): .*its artifact a/predictions/holdout\.predictions"
    ):
        load(store)


def test_a_study_without_its_target_is_named(store):
    parent = SimpleNamespace(info=SimpleNamespace(run_id="parent", run_name="mine", artifact_uri="file:///runs/a"))
    said = r"study mine: run parent has no artifact holdout\.target in MLflow: restore file:///runs/a/holdout\.target"
    with pytest.raises(PredictionsError, match=said):
        load_target(store, parent)
