"""StoreClient: MLflow's client for a store that may have been moved or copied."""

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient


class StoreClient(MlflowClient):
    """A client that reads from the store, each time, where a run's artifacts are written.

    MLflow's own remembers it by the id of the run alone, for the whole process: of a run that is in a store and in a
    copy of it, all artifacts would go to the place that was seen first.
    """

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Copy a file to the run's artifacts, into the directory `artifact_path` of them if one is given."""
        uri = self.get_run(run_id).info.artifact_uri
        get_artifact_repository(uri, tracking_uri=self.tracking_uri).log_artifact(local_path, artifact_path)
