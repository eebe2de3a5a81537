"""The recorded trials are whole: what was written beside the class maps is what they score."""

import pytest

from ensembling.scores import confusion_matrix, miou
from tests.benchmarks.recorded_pool import DATA_SETS, read_pool
from tests.benchmarks.recording.space import EPOCHS, suggest


class Replay:
    """A trial that answers what was recorded."""

    def __init__(self, params):
        self.params = params

    def suggest_categorical(self, name, choices):
        assert self.params[name] in choices
        return self.params[name]

    def suggest_float(self, name, low, high, *, log):
        assert low <= self.params[name] <= high
        return self.params[name]


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_class_maps_score_what_was_recorded(name):
    pool = read_pool(name)
    assert pool.predictions.shape == (len(pool.trials), pool.target.size)
    assert pool.image_ids.shape == pool.target.shape
    for trial, maps in zip(pool.trials, pool.predictions, strict=True):
        assert len(trial.miou) == len(trial.loss) == len(trial.seconds) == EPOCHS
        # A quarter of the pixels was kept, of the small ones few are left.
        assert miou(confusion_matrix(maps, pool.target, pool.num_classes)) == pytest.approx(trial.miou[-1], abs=0.004)


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_space_returns_what_was_trained(name):
    for trial in read_pool(name).trials:
        config = suggest(Replay(trial.params))
        assert {key: trial.config[key] for key in config} == config
