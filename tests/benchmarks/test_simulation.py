"""Simulated searches: what they spend is counted as it would be, and recorded trials are as they were recorded."""

import numpy as np
import pytest

from tests.benchmarks.recorded_pool import read_pool
from tests.benchmarks.recording.space import EPOCHS
from tests.benchmarks.simulation.learning import learn, learn_nonsense
from tests.benchmarks.simulation.made_maps import MadeMaps
from tests.benchmarks.simulation.methods import METHODS
from tests.benchmarks.simulation.process import DrawnFunction, Inputs, Process
from tests.benchmarks.simulation.simulator import SimulatedStudy
from tests.benchmarks.simulation.world import World

FIFO, PROMOTE = (
    next(one for one in METHODS if one.name == name)
    for name in ("every trial to its end, random", "promote at 1, 3 and 9, random")
)


def study_of(method, slots, curve):
    scheduler, searcher = method.start(0, slots, others=[])
    return SimulatedStudy(searcher, scheduler, curve=curve, slots=slots)


def rising(params):
    """Scores that depend on the decay alone, at a second an epoch."""
    return np.linspace(0, 1, EPOCHS) * (1 + params["weight_decay"]) / 2, np.ones(EPOCHS)


@pytest.mark.parametrize("slots", [1, 4])
def test_without_stopping_every_epoch_of_every_trial_is_spent(slots):
    study = study_of(FIFO, slots, rising)
    study.run(lambda study, trial: study.epochs_spent == 3 * slots * EPOCHS)
    assert [trial.epoch for trial in study.trials.values()][: 3 * slots] == [EPOCHS] * 3 * slots
    assert study.seconds_spent == 3 * slots * EPOCHS


def test_slots_train_side_by_side():
    study, ended = study_of(FIFO, 4, rising), []
    study.run(lambda study, trial: ended.append(trial.number) or len(ended) == 8)
    assert ended == [1, 2, 3, 4, 1, 2, 3, 4]


def test_a_promoted_trial_goes_on_after_its_last_epoch():
    study, epochs = study_of(PROMOTE, 1, rising), []
    study.run(lambda study, trial: epochs.append((trial.number, trial.epoch)) or len(epochs) == 60)
    assert len(set(epochs)) == len(epochs), "no epoch is trained twice"
    for number in study.trials:
        own = [epoch for one, epoch in epochs if one == number]
        assert own == list(range(1, len(own) + 1))
    assert {trial.epoch for trial in study.trials.values()} > {1, 3, 9}, "trials wait at all rungs"


def test_no_search_is_sooner_than_the_first_trial_of_the_pool_to_come_close_to_the_best(monkeypatch):
    world = World(surrogate=None, maps=None, seed=0)
    curves = [[0.1, 0.2, 0.6], [0.3, 0.598, 0.59], [0.1, 0.2, 0.3]]
    monkeypatch.setitem(world.__dict__, "_pool_curves", [np.array(curve) for curve in curves])
    assert world.best_single == 0.6
    assert world.fewest_epochs(0.005) == 2
    assert world.fewest_epochs(0.0) == 3


def test_made_maps_have_the_score_that_is_asked_for():
    from ensembling.scores import confusion_matrix, miou

    pool = read_pool("garbage6")
    maps = MadeMaps.of(pool)
    for score in (0.15, 0.4, 0.6, 0.7):
        made = maps.make(score, [0, 1])
        assert miou(confusion_matrix(made, maps.target, pool.num_classes)) == pytest.approx(score, abs=0.01)
    assert (maps.make(0.5, [0, 1]) != maps.make(0.5, [0, 2])).mean() > 0.02


def test_functions_that_are_drawn_agree_where_trials_were_recorded_and_differ_elsewhere():
    trials = read_pool("camvid").trials[:12]
    inputs = Inputs.of([trial.params for trial in trials], ["camvid"] * 12)
    process = Process(inputs, np.array([max(trial.miou) for trial in trials]) - 0.45)
    drawn = [DrawnFunction(process, [seed]) for seed in range(2)]
    asked = Inputs.of([trial.params | {"head": "other", "loss": "other"} for trial in trials], ["camvid"] * 12)
    known, unknown = (abs(drawn[0](where) - drawn[1](where)).mean() for where in (inputs, asked))
    assert known < unknown


def test_what_a_study_learns_from_another_speaks_for_its_better_trials():
    trials = sorted(read_pool("camvid").trials, key=lambda trial: max(trial.miou))
    worse, better = trials[: len(trials) // 2], trials[len(trials) // 2 :]
    for model, speaks in ((learn(trials, 0), True), (learn_nonsense(trials, 0), False)):
        expected = [np.mean([model.expected(trial.params) for trial in half]) for half in (worse, better)]
        assert (expected[1] - expected[0] > 0.5) == speaks
