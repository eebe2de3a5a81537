"""A study of real photos, recounted: `pytest -m long -s tests/integration/test_real_study.py`, 15 minutes."""

import json

import pytest

from ensembling import read_predictions
from tests.benchmarks.places import BACKBONE, ROOT, WEIGHTS
from tests.integration.recount import Recount, missing

GARBAGE6 = ROOT.parent / "shared" / "data" / "garbage6"
SPACE = f"""
return {{
    "head": ("unet", "fpn", "segformer", "unet", "fpn")[trial.number - 1],
    "backbone": {BACKBONE!r},
    "lr": trial.suggest_float("lr", 3e-4, 2e-3, log=True),
    "augmentation": "flip",
    "image_size": "96",
}}
"""


@pytest.mark.long
@pytest.mark.skipif(not GARBAGE6.is_dir() or not WEIGHTS.is_dir(), reason=f"there is no {GARBAGE6}, or no {WEIGHTS}")
def test_every_figure_of_a_study_of_garbage6_is_recounted(line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "180")  # so that no cell is folded
    flags = ["--data", GARBAGE6, "--weights-dir", WEIGHTS, "--trials", "5", "--epochs", "3", "--grace-period", "3"]
    search = line.start("--space", line.space(SPACE), *map(str, flags), "--name", "garbage")
    assert search.wait() == 0, line.output()
    print(line.output())
    ensemble = json.loads((line.runs / "garbage" / "ensemble.json").read_text())
    target = read_predictions(line.runs / "garbage" / "holdout.target")
    client, experiment = line.client()
    trials = client.search_runs([experiment], "tags.`segvote.kind` = 'trial'")
    maps = {}
    for run in trials:
        directory = line.runs / "garbage" / "trials" / f"{int(run.data.tags['segvote.trial']):04d}"
        maps[run.info.run_id] = read_predictions(directory / "holdout.predictions").pixels
    assert maps.keys() == {one["run_id"] for one in ensemble["candidates"]}
    images = [image_id for image_id, class_map in target.maps() for _ in range(class_map.size)]
    recount = Recount(maps, target.pixels, images, len(target.class_names))
    assert [member["run_id"] for member in ensemble["members"]] == recount.members
    assert missing(recount.rows({run.info.run_id: run.info.run_name for run in trials}), line.output()) == []
    assert [words for words in recount.words(target.class_names) if words not in line.output()] == []
