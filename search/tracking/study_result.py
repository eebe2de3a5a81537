"""The result of a study on its run in MLflow: the scores of the vote and the best run, and the data set."""

import json
import time

from mlflow.entities import Dataset, DatasetInput, Metric
from mlflow.tracking import MlflowClient

from ensembling.runs.ensemble import EnsembleRecord
from search.study.study import Study


def log_result(client: MlflowClient, run_id: str, study: Study, ensemble: EnsembleRecord) -> None:
    """Log to the study's run the scores of its ensemble, and the data set with its source.

    Args:
        client: The client of the store.
        run_id: The id of the study's run.
        study: The study.
        ensemble: Its ensemble.
    """
    scores = {
        "vote/miou": ensemble.miou,
        "vote/crossfit_miou": ensemble.crossfit_miou,
        "best_single/miou": ensemble.candidates[0].miou,
    }
    now = int(time.time() * 1000)
    metrics = [Metric(name, score, now, 0) for name, score in scores.items() if score is not None]
    client.log_batch(run_id, metrics=metrics)
    client.log_inputs(run_id, datasets=[DatasetInput(_dataset(study))])


def _dataset(study: Study) -> Dataset:
    """Return the data set as an entity of MLflow, which takes a digest of at most 36 characters."""
    data = study.data
    profile = {"classes": len(data.class_names), "holdout": len(data.splits.holdout)}
    return Dataset(
        name=data.root.name,
        digest=data.fingerprint[:36],
        source_type="local",
        source=json.dumps({"uri": str(data.root)}),
        profile=json.dumps(profile),
    )
