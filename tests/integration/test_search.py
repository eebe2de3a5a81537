"""A whole search, as users type it: Ray, MLflow and the vote are the real ones."""

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from ensembling import hard_vote, read_predictions
from ensembling.predict.class_maps import read_class_maps
from search.cli import main
from tests.integration.recount import Recount, missing

SPACE = """
number = trial.number
if number == 1:
    raise RuntimeError("this suggestion is broken")
return {
    "head": trial.suggest_categorical("head", ["fpn", "unet"]),
    "backbone": "mobilenetv3_small_050",
    "lr": 1e30 if number == 2 else trial.suggest_float("lr", 1e-3, 1e-2, log=True),
    "optimizer": "sgd",
    "grad_clip": 1.0 if number != 2 else 0.0,
    "precision": "fp32",
    "fold": 0,
    "pretrained": False,
    "batch_size": 4,
    "image_size": "32",
    "epochs": 3,
}
"""


@pytest.fixture
def study(line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "180")  # so that no cell is folded
    code = line.run(
        "--space",
        line.space(SPACE),
        "--data",
        str(line.data),
        "--trials",
        "4",
        "--name",
        "whole",
        "--folds",
        "3",
        "--json",
    )
    assert code == 0, line.output()
    return line


def _recomputed_miou(maps: np.ndarray, target: np.ndarray, num_classes: int) -> float:
    matrix = confusion_matrix(target, maps, labels=range(num_classes)).astype(float)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    return float((np.diag(matrix)[union > 0] / union[union > 0]).mean())


def test_whole_search(study):
    """One search, looked at from all sides: it takes too long to run it for each of them."""
    client, experiment = study.client()
    runs = client.search_runs([experiment])
    parent = next(run for run in runs if run.data.tags["segvote.kind"] == "study")
    trials = {int(run.data.tags["segvote.trial"]): run for run in runs if run.data.tags["segvote.kind"] == "trial"}
    ensemble_run = next(run for run in runs if run.data.tags["segvote.kind"] == "ensemble")

    # What people read, machines read as JSON: it is all of standard output.
    result = json.loads(study.output().splitlines()[-1])
    assert result["ensemble"] == json.loads((study.runs / "whole" / "ensemble.json").read_text())
    assert [one["trial"] for one in result["trials"]][-1] == 2  # it failed
    assert result["next"][0].startswith("segvote predict --ensemble whole")
    assert result["recommendation"].startswith("Submit ") or "is as good as" in result["recommendation"]

    # One nested run per trial, each with its true status; a suggestion that raised is no trial.
    assert sorted(trials) == [1, 2, 3, 4]
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in [*trials.values(), ensemble_run])
    diverged = next(run for run in trials.values() if float(run.data.params["lr"]) == 1e30)
    assert diverged.info.status == "FAILED"
    assert "NonFiniteError: the training loss became" in diverged.data.tags["segvote.verdict"]
    others = [run for run in trials.values() if run is not diverged]
    assert {run.info.status for run in others} == {"FINISHED"}
    assert parent.info.status == "FINISHED"
    assert "this suggestion is broken" in study.output()
    assert "Traceback" not in study.output()

    # Metrics once per epoch, equal to the ledger's.
    for number, run in trials.items():
        history = client.get_metric_history(run.info.run_id, "holdout/miou")
        records = study.records("whole", number)
        assert [(metric.step, metric.value) for metric in history] == [(r["epoch"], r["holdout/miou"]) for r in records]
    for key in ("train/loss", "lr", "fold/miou", "holdout/iou/Background", "images_per_s", "peak_memory_gb"):
        assert key in others[0].data.metrics
    assert parent.data.metrics["trials_done"] == 4
    assert parent.data.metrics["trials_failed"] == 1
    scores = [m.value for run in others for m in client.get_metric_history(run.info.run_id, "holdout/miou")]
    assert parent.data.metrics["best_miou"] == max(scores)

    # The vote's scores are those of its members' class maps, by scikit-learn.
    ensemble = json.loads((study.runs / "whole" / "ensemble.json").read_text())
    target = read_predictions(study.runs / "whole" / "holdout.target")
    num_classes = len(target.class_names)
    by_run = {run.info.run_id: number for number, run in trials.items()}
    maps = {
        run_id: read_predictions(study.runs / "whole" / "trials" / f"{number:04d}" / "holdout.predictions").pixels
        for run_id, number in by_run.items()
        if number != int(diverged.data.tags["segvote.trial"])
    }
    for member in ensemble["members"]:
        best = max(record["holdout/miou"] for record in study.records("whole", by_run[member["run_id"]]))
        assert member["miou"] == pytest.approx(best, abs=1e-9)
        assert _recomputed_miou(maps[member["run_id"]], target.pixels, num_classes) == pytest.approx(best, abs=1e-9)
    voted = hard_vote(np.stack([maps[member["run_id"]] for member in ensemble["members"]]), num_classes)
    assert _recomputed_miou(voted, target.pixels, num_classes) == pytest.approx(ensemble["miou"], abs=1e-9)
    assert ensemble["miou"] >= ensemble["baselines"]["best_single"] - 1e-12
    assert f"{ensemble['miou']:.4f}" in study.output()
    assert ensemble_run.data.metrics["holdout/miou"] == pytest.approx(ensemble["miou"])
    plots = {"ensemble.png", "diversity.png"} if len(ensemble["members"]) > 1 else {"ensemble.png"}
    artifacts = {item.path for item in client.list_artifacts(ensemble_run.info.run_id)}
    assert artifacts == {"ensemble.json"} | plots
    assert parent.data.metrics["vote_miou"] == pytest.approx(ensemble["miou"])  # of the last trial's end

    # So is every other figure on screen.
    candidates = {one["run_id"]: maps[one["run_id"]] for one in ensemble["candidates"]}
    images = [image_id for image_id, class_map in target.maps() for _ in range(class_map.size)]
    recount = Recount(candidates, target.pixels, images, num_classes)
    assert [member["run_id"] for member in ensemble["members"]] == recount.members
    assert missing(recount.rows({run.info.run_id: run.info.run_name for run in trials.values()}), study.output()) == []
    assert [words for words in recount.words(target.class_names) if words not in study.output()] == []

    # Artifacts of a trial.
    artifacts = {item.path for item in client.list_artifacts(others[0].info.run_id)}
    assert artifacts == {"predictions", "holdout.png", "config.json", "log.txt"}

    check_prediction(study, ensemble_run.info.run_id, ensemble, maps)
    check_views(study, ensemble, maps, target)


def check_prediction(study, run_id, ensemble, maps):
    """The ensemble, named by its run, predicts the holdout's photos as its members were scored on them."""
    out, runs = study.directory / "predicted", ["--runs-dir", str(study.runs)]
    photos = ["--images", str(study.data / "val.json")]
    assert main(["predict", "--ensemble", run_id, *photos, "--out", str(out), "--each", *runs]) == 0
    for file, member in zip(sorted((out / "members").iterdir()), ensemble["members"], strict=True):
        again = np.concatenate([class_map.reshape(-1) for class_map in read_class_maps(file)])
        assert np.mean(again == maps[member["run_id"]]) > 0.999  # threads add up in another order
    own = [str(path / "submission.csv") for path in sorted((out / "each").iterdir())]
    if len(own) > 1:
        assert main(["vote", *own, "--out", str(study.directory / "vote.csv")]) == 0
        assert (study.directory / "vote.csv").read_bytes() == (out / "submission.csv").read_bytes()

    single = ["predict", "--ensemble", ensemble["members"][0]["run_id"], *photos, "--out", str(study.directory / "one")]
    assert main([*single, *runs]) == 0
    first = sorted((out / "members").iterdir())[0]
    assert next((study.directory / "one" / "members").iterdir()).read_bytes() == first.read_bytes()


def check_views(study, ensemble, maps, target):
    """With --tta the holdout is predicted again, and what is selected is what votes."""
    flags = ["--runs-dir", str(study.runs), "--cache-dir", str(study.directory / "cache")]
    assert main(["ensemble", "--studies", "whole", "--tta", "flip", "--name", "flipped", *flags]) == 0
    file = study.runs / "ensembles" / "flipped" / "ensemble.json"
    flipped = json.loads(file.read_text())
    *members, vote = flipped["effect_of_views"]
    num_classes, rows = len(target.class_names), []
    for member, effect in zip(flipped["members"], members, strict=True):
        trial = study.runs / "whole" / "trials" / f"{member['trial']:04d}"
        rows.append(read_predictions(next(trial.glob("holdout.*.predictions"))).pixels)
        assert (
            member["miou"]
            == effect["all_views"]
            == pytest.approx(_recomputed_miou(rows[-1], target.pixels, num_classes))
        )
        assert effect["one_view"] == pytest.approx(_recomputed_miou(maps[member["run_id"]], target.pixels, num_classes))
    voted = hard_vote(np.stack(rows), num_classes)
    assert vote["all_views"] == flipped["miou"] == pytest.approx(_recomputed_miou(voted, target.pixels, num_classes))
    assert len(flipped["candidates"]) == len(ensemble["candidates"])
    out = study.directory / "flipped"
    predict = ["predict", "--ensemble", str(file), "--images", str(study.data / "val.json"), "--out", str(out)]
    assert main([*predict, "--runs-dir", str(study.runs)]) == 0
    first = np.concatenate([one.reshape(-1) for one in read_class_maps(sorted((out / "members").iterdir())[0])])
    assert np.mean(first == rows[0]) > 0.999
