"""What is fetched from MLflow stays where it belongs."""

from types import SimpleNamespace

import mlflow.artifacts
import pytest
from mlflow.models import Model

from ensembling.runs.registered import download_registered
from trainables.errors import UserError


@pytest.mark.parametrize("path", ["../mine", "/{root}/mine"])
def test_a_model_that_names_files_outside_of_itself_moves_nothing(tmp_path, monkeypatch, path):
    mine = tmp_path / "mine"
    mine.mkdir()

    def fetch(uri, dst_path, tracking_uri):
        model = tmp_path / "model"
        model.mkdir()
        flavor = {"artifacts": {"ensemble": {"path": path.format(root=str(tmp_path).strip("/"))}}}
        Model(flavors={"python_function": flavor}).save(str(model / "MLmodel"))
        return str(model)

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", fetch)
    version = SimpleNamespace(name="night", version="1", source="somewhere")
    client = SimpleNamespace(
        get_model_version=lambda *_: version, get_model_version_download_uri=lambda *_: "uri", tracking_uri="uri"
    )
    with pytest.raises(UserError, match="night 1 names files outside of itself"):
        download_registered("models:/night/1", tmp_path / "runs", client)
    assert mine.exists()
