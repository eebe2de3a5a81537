"""From pseudo-labels to a search that trains on them, and on to its members trained again on everything."""

import json

import numpy as np
import pytest

from ensembling.runs.members import open_ensemble
from trainables.data import load_dataset, write_pseudo
from trainables.data.sample.dataset import write_sample

SPACE = """
return {
    "head": "fpn",
    "backbone": "mobilenetv3_small_050",
    "lr": 3e-3,
    "precision": "fp32",
    "pretrained": False,
    "fold": 0,
    "batch_size": 4,
    "image_size": "32",
    "epochs": 2,
}
"""


@pytest.fixture
def pseudo(line):
    """Four other photos, labelled by three members that disagree on the upper half."""
    photos = load_dataset(write_sample(line.directory / "new", train=4, val=0, test=0, size=64, seed=1))
    doubt = np.full((64, 64), 3, np.uint8)
    doubt[:32] = 1
    items = [(one.path, one.file_name, photos.mask(one.row), doubt) for one in photos.images]
    report = write_pseudo(line.directory / "P", photos.class_names, items, agree=2)
    assert (report.kept, report.ignored_share) == (4, 0.5)
    return str(line.directory / "P")


def test_pseudo_labels_search_and_refit(line, pseudo):
    flags = ["--pseudo", pseudo, "--pseudo-weight", "0.25", "--concurrency", "1"]
    search = ["--space", line.space(SPACE), "--data", str(line.data), "--trials", "1", "--name", "night", *flags]
    assert line.run_here(*search, "--folds", "2") == 0, line.output()
    assert "4 photos of" in line.output()
    ensemble = line.runs / "night" / "ensemble.json"
    refit = ["--ensemble", str(ensemble), "--seeds", "2", "--name", "again", *flags]
    assert line.run_here(*refit, command="refit") == 0, line.output()
    assert "Traceback" not in line.output()

    client, experiment = line.client()
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
    assert parents["again"] == runs["night-ensemble"].info.run_id
    assert parents["again-0001"] == parents["again-0002"] == runs["again"].info.run_id
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name in ("night", "again"):
        params = runs[name].data.params
        assert (params["pseudo"], params["pseudo_weight"], params["pseudo_images"]) == (pseudo, "0.25", "4")
    assert runs["again"].data.params["training_images"] == "26"  # of train.json and val.json

    # Ten photos of a half and four others make three steps an epoch; thirty make seven.
    best = int(runs["night-0001"].data.tags["segvote.best_epoch"])
    for number in (1, 2):
        records = line.records("again", number)
        assert [record["epoch"] for record in records] == [1] == list(range(1, 1 + max(1, round(best * 3 / 7))))
        assert not [key for record in records for key in record if "miou" in key]
        assert not [key for key in runs[f"again-{number:04d}"].data.metrics if "miou" in key]

    opened = open_ensemble(str(line.runs / "again" / "ensemble.json"), line.runs, lambda: None)
    assert [member.run_id for member in opened.members] == [runs[f"again-000{n}"].info.run_id for n in (1, 2)]
    assert [member.config.seed for member in opened.members] == [0, 1]
    alone = open_ensemble(runs["again-0002"].info.run_id, line.runs, lambda: client)  # which was scored on nothing
    assert alone.members[0].weights_sha256 == opened.members[1].weights_sha256
    assert alone.class_names == opened.class_names
    assert opened.description.crossfit_miou == json.loads(ensemble.read_text())["crossfit_miou"]
    assert "no photo is left for validation and nothing was scored. Expect about" in line.output()
