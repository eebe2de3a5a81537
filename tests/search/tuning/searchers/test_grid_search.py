"""GridSearch: every point is handed out once, and on resume those that have not ended."""

from ray.tune.search import Searcher

from search.tuning.searchers.grid_search import GridSearch
from search.tuning.searchers.suggestion import Suggestion

POINTS = [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
SUGGESTIONS = [Suggestion(number, params) for number, params in enumerate(POINTS, start=1)]


def test_a_grid_hands_out_its_points_in_order_and_ends(ledger):
    grid = GridSearch(SUGGESTIONS, trial_files=ledger)
    handed = [grid.suggest(str(number)) for number in range(4)]
    assert handed == [{"number": n, "params": params} for n, params in enumerate(POINTS, start=1)] + [Searcher.FINISHED]
    assert [Suggestion.load(ledger(number)).params for number in (1, 2, 3)] == POINTS


def test_a_closed_grid_hands_out_nothing_and_a_resumed_one_the_rest(ledger):
    grid = GridSearch(SUGGESTIONS, trial_files=ledger)
    grid.closed = True
    assert grid.suggest("a") == Searcher.FINISHED
    grid.closed = False
    assert grid.suggest("b")["number"] == 1


def test_a_resumed_grid_hands_out_what_has_not_ended(ledger):
    grid = GridSearch(SUGGESTIONS, trial_files=ledger)
    grid.replay(SUGGESTIONS[0], [], {"status": "failed"})
    grid.replay(SUGGESTIONS[1], [{"epoch": 1, "holdout/miou": 0.5}], None)
    assert [grid.suggest(name)["number"] for name in "ab"] == [2, 3]
    assert grid.suggest("c") == Searcher.FINISHED
