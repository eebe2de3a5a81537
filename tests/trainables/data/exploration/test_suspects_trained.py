"""Suspects of models that are trained here: a label that was swapped is found by those that never saw the photo."""

import json

import pytest

from tests import tiny
from trainables.config import TrialConfig
from trainables.data import load_dataset
from trainables.data.exploration.suspects import Votes
from trainables.inference.evaluate import predict_maps
from trainables.training import Trainer

SWAPPED = 51  # the red square of row 4, which is in fold 1


@pytest.mark.long
def test_a_swapped_label_is_the_first_suspect(tmp_path):
    root = tiny.write_data(tmp_path / "data")
    content = json.loads((root / "train.json").read_text())
    next(one for one in content["annotations"] if one["id"] == SWAPPED)["category_id"] = 2
    (root / "train.json").write_text(json.dumps(content))
    dataset = load_dataset(root)
    study, votes = tiny.study_data(dataset, tmp_path / "cache"), Votes(dataset)
    for fold, rows in enumerate(study.splits.folds):
        trainer = Trainer(TrialConfig.from_dict(tiny.params(fold=fold, epochs=25, lr=5e-3)), study)
        for _ in range(25):
            trainer.run_epoch()
        for row, class_map in predict_maps(
            trainer.model, trainer.packed, rows, batch_size=2, precision=trainer.precision
        ):
            votes.add(row, class_map.numpy())
    first, second = votes.suspects()[:2]
    assert (first.annotation_id, first.label, first.says) == (SWAPPED, 2, 1)
    assert first.suspicion > 0.5 > second.suspicion
