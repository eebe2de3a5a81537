import pytest

from search.screen.progress import Progress
from tests.search.screen.made import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(total=4, epochs=10, clock=clock)
