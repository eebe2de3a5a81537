"""What the tests of training share."""

import pytest

from tests import tiny
from trainables.study_data import StudyData


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    """Eight photos of 64x48 pixels, packed once."""
    return tiny.make_study_data(tmp_path_factory.mktemp("tiny"))
