"""What the tests of the search share: a study on eight photos, without Ray and MLflow."""

from pathlib import Path

import pytest

from search.study.settings import Settings
from search.study.study import Study, new_study
from tests import tiny
from trainables.data import Dataset, load_dataset


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny")
    tiny.write_data(directory / "data")
    return directory


@pytest.fixture(scope="session")
def dataset(tiny_dir: Path) -> Dataset:
    return load_dataset(tiny_dir / "data")


@pytest.fixture
def settings(tiny_dir: Path, tmp_path: Path) -> Settings:
    return Settings(
        name="mine", data=str(tiny_dir / "data"), runs_dir=tmp_path / "runs", cache_dir=tiny_dir / "cache", seed=5
    )


@pytest.fixture
def study(settings: Settings, dataset: Dataset) -> Study:
    """On disk, with no trial yet; the first two photos are the holdout."""
    made = new_study(settings, dataset, tiny.SPLITS)
    with made.claimed(resume=False):
        pass
    return made
