"""A study that ran for hours, made in seconds, and its report: written once for all tests that only read them."""

import pytest

from search.report.record.gather import Report, gather
from search.study.settings import Settings
from search.study.study import Study, new_study
from tests import tiny
from tests.search.report import made
from trainables.errors import UserError


def no_mlflow():
    raise UserError("there is no MLflow here")


@pytest.fixture(scope="session")
def ended(tiny_dir, dataset, tmp_path_factory) -> Study:
    """Forty trials of up to nine epochs, five of which have predictions and vote."""
    runs = tmp_path_factory.mktemp("ended") / "runs"
    settings = Settings(
        name="night", space="cnn_heads", data=str(tiny_dir / "data"), runs_dir=runs, cache_dir=tiny_dir / "cache"
    )
    study = new_study(settings, dataset, tiny.SPLITS)
    with study.claimed(resume=False):
        made.make_search(study, trials=40, epochs=9, voters=5)
    return study


@pytest.fixture(scope="session")
def report(ended) -> Report:
    return gather(ended, no_mlflow)
