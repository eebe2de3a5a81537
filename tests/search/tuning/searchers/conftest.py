"""A searcher on a small space, and a ledger that it writes to."""

import optuna
import pytest

from search.tuning.searchers.optuna_search import OptunaSearch
from tests.search.tuning.searchers.made import EPOCHS, suggest
from trainables.trial.files import TrialFiles

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def ledger(tmp_path):
    return lambda number: TrialFiles(tmp_path / f"{number:04d}")


@pytest.fixture
def searcher(ledger):
    def make(space=suggest, check=lambda params: None, seed=0, recipes=(), trials=100, promotion=None, learnt=None):
        how = {"seed": seed, "epochs": EPOCHS, "trial_files": ledger, "check": check, "constant_liar": False}
        return OptunaSearch(space, recipes=recipes, trials=trials, promotion=promotion, learnt=learnt, **how)

    return make
