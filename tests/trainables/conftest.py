"""What the tests of training share."""

from collections.abc import Iterator

import pytest
import torch

from tests import tiny
from trainables.study_data import StudyData


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    """Eight photos of 64x48 pixels, packed once."""
    return tiny.make_study_data(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Sums are added up in the same order, and other tests keep their cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
