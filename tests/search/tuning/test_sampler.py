"""TPESearch and GridSearch: what the sampler is told, and what a resumed study hands out again."""

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.tuning.sampler import MAX_BAD_SUGGESTIONS, GridSearch, Suggestion, TPESearch
from trainables.ray_trainable import OBJECTIVE
from trainables.trial.files import TrialFiles

optuna.logging.set_verbosity(optuna.logging.ERROR)
EPOCHS = 9


def suggest(trial):
    head = trial.suggest_categorical("head", ["unet", "fpn"])
    rate = "adam_lr" if head == "unet" else "sgd_lr"
    return {"head": head, "lr": trial.suggest_float(rate, 1e-4, 1e-2, log=True), "epochs": EPOCHS}


@pytest.fixture
def ledger(tmp_path):
    return lambda number: TrialFiles(tmp_path / f"{number:04d}")


@pytest.fixture
def searcher(ledger):
    def make(space=suggest, check=lambda params: None, seed=0, recipes=()):
        how = {"seed": seed, "epochs": EPOCHS, "trial_files": ledger, "check": check, "constant_liar": False}
        return TPESearch(space, recipes=recipes, **how)

    return make


def result(epoch, miou, **more):
    return {"epoch": epoch, OBJECTIVE: miou, **more}


def told(searcher):
    """What Optuna knows: (state, value, intermediate values) per trial."""
    return [(trial.state, trial.value, trial.intermediate_values) for trial in searcher.study.trials]


def test_a_suggestion_is_in_the_ledger_before_it_is_handed_out(searcher, ledger):
    ours = searcher()
    first, second = ours.suggest("a"), ours.suggest("b")
    assert (first["number"], second["number"]) == (1, 2)
    assert Suggestion.load(ledger(1)).params == first["params"]
    sampled = Suggestion.load(ledger(2)).sampled
    assert sampled[f"{'adam' if sampled['head'] == 'unet' else 'sgd'}_lr"] == second["params"]["lr"]


def test_the_seed_decides_the_suggestions(searcher):
    same = [[make.suggest(str(i))["params"] for i in range(15)] for make in (searcher(), searcher())]
    assert same[0] == same[1]
    assert searcher(seed=1).suggest("a")["params"] != same[0][0]


def test_a_trial_stopped_at_a_rung_is_pruned_there(searcher):
    ours = searcher()
    ours.suggest("a")
    ours.on_trial_result("a", result(1, 0.25))
    ours.on_trial_complete("a", result(2, 0.5))  # Tune tells the last one only here
    # Optuna takes the last intermediate value for a pruned trial's; its sampler goes by the step.
    assert told(ours) == [(TrialState.PRUNED, 0.5, {1: 0.25, 2: 0.5})]


def test_a_finished_trial_is_complete_with_its_best(searcher):
    ours = searcher()
    ours.suggest("a")
    scores = {epoch: 0.75 if epoch == 4 else epoch / 20 for epoch in range(1, EPOCHS + 1)}
    for epoch in range(1, EPOCHS):
        ours.on_trial_result("a", result(epoch, scores[epoch]))
    ours.on_trial_complete("a", result(EPOCHS, scores[EPOCHS]))
    assert told(ours) == [(TrialState.COMPLETE, 0.75, scores)]


def test_a_result_told_twice_counts_once(searcher):
    """After a retry, and because Tune repeats the last one."""
    ours = searcher()
    ours.suggest("a")
    for epoch, miou in ((1, 0.25), (2, 0.5), (2, 0.5)):
        ours.on_trial_result("a", result(epoch, miou))
    ours.on_trial_complete("a", result(2, 0.5))
    assert told(ours)[0][2] == {1: 0.25, 2: 0.5}


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (result(1, 0.0, failure="NonFiniteError: nan", done=True), False),
        (result(EPOCHS, 0.0, failure="UserError: no such head", done=True), False),
        (result(1, 0.25), True),
        (None, True),
        (None, False),
    ],
)
def test_a_failed_trial_has_failed(searcher, last, error):
    ours = searcher()
    ours.suggest("a")
    ours.on_trial_result("a", result(1, 0.25))
    ours.on_trial_complete("a", last, error=error)
    assert told(ours) == [(TrialState.FAIL, None, {1: 0.25})]


def test_no_trial_is_left_running(searcher):
    ours = searcher()
    for number, last in enumerate([result(2, 0.1), result(EPOCHS, 0.5), result(0, 0.0, failure="nan"), None]):
        ours.suggest(str(number))
        ours.on_trial_complete(str(number), last)
    states = [trial.state for trial in ours.study.trials]
    assert states == [TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    assert ours._running == {}


def test_a_space_that_fails_now_and_then_goes_on_and_its_reasons_are_kept(searcher):
    calls = iter(range(100))

    def sometimes(trial):
        if next(calls) % 2 == 0:
            raise optuna.TrialPruned("not this one")
        return suggest(trial)

    ours = searcher(sometimes)
    assert [ours.suggest(name)["number"] for name in "abc"] == [1, 2, 3]
    assert ours.bad_suggestions == ["TrialPruned: not this one"] * 3
    states = [trial.state for trial in ours.study.trials]
    assert states == [TrialState.FAIL, TrialState.RUNNING] * 3


def test_a_configuration_that_cannot_be_trained_is_not_handed_out(searcher):
    def only_fpn(params):
        if params["head"] != "fpn":
            raise ValueError("fold is 7, but there are 5")

    ours = searcher(check=only_fpn)
    assert {ours.suggest(str(number))["params"]["head"] for number in range(5)} == {"fpn"}
    assert set(ours.bad_suggestions) == {"ValueError: fold is 7, but there are 5"}


def test_a_space_that_always_fails_ends_the_search(searcher):
    def never(trial):
        raise KeyError("head")

    ours = searcher(never)
    assert ours.suggest("a") == Searcher.FINISHED
    assert ours.bad_suggestions == ["KeyError: 'head'"] * MAX_BAD_SUGGESTIONS
    assert {trial.state for trial in ours.study.trials} == {TrialState.FAIL}


def played(searcher, ledger, ends):
    """A study whose trials end as told; returns what a resumed one reads: (suggestion, records, verdict) of each."""
    history = []
    for number, (records, failed) in enumerate(ends, start=1):
        searcher.suggest(str(number))
        for record in records[:-1]:
            searcher.on_trial_result(str(number), record)
        failure = {"failure": "nan"} if failed else {}
        last = result(records[-1]["epoch"] + 1, 0.0, **failure) if failed else records[-1]
        searcher.on_trial_complete(str(number), last)
        status = "failed" if failed else "completed" if len(records) == EPOCHS else "stopped"
        history.append((Suggestion.load(ledger(number)), records, {"status": status}))
    return history


def curve(last_epoch, best):
    return [result(epoch, best * epoch / last_epoch) for epoch in range(1, last_epoch + 1)]


def test_a_replayed_history_is_the_same_history(searcher, ledger):
    before, after = searcher(), searcher(seed=1)  # another seed: nothing is the same by chance
    ends = [(curve(EPOCHS, 0.5), False), (curve(1, 0.1), False), (curve(3, 0.25), False), (curve(EPOCHS, 0.75), False)]
    for step in played(before, ledger, ends):
        after.replay(*step)
    assert told(after) == told(before)
    assert [trial.params for trial in after.study.trials] == [trial.params for trial in before.study.trials]
    assert [trial.distributions for trial in after.study.trials] == [
        trial.distributions for trial in before.study.trials
    ]
    assert after.suggest("new")["number"] == 5


def test_a_replayed_failure_is_a_failure(searcher, ledger):
    ours = searcher()
    for step in played(searcher(), ledger, [(curve(2, 0.25), True)]):
        ours.replay(*step)
    assert [state for state, _, _ in told(ours)] == [TrialState.FAIL]


def test_unfinished_trials_are_handed_out_first_under_their_own_number(searcher, ledger):
    before, after = searcher(), searcher()
    given = [before.suggest(name) for name in "abc"]
    after.replay(Suggestion.load(ledger(1)), curve(EPOCHS, 0.5), {"status": "completed"})
    after.replay(Suggestion.load(ledger(2)), curve(2, 0.25), None)
    after.replay(Suggestion.load(ledger(3)), [], None)
    assert [after.suggest("x"), after.suggest("y")] == given[1:]
    assert after.suggest("z")["number"] == 4


def test_a_resumed_search_goes_on_with_the_points_of_one_that_was_not_stopped(searcher, ledger):
    """And does not draw those of its start again."""
    whole, before, after = searcher(), searcher(), searcher()
    points = [whole.suggest(str(number))["params"] for number in range(6)]
    for number in range(1, 4):
        before.suggest(str(number))
        verdict = {"status": "completed"} if number < 3 else None
        after.replay(Suggestion.load(ledger(number)), curve(EPOCHS, 0.5), verdict)
    assert [after.suggest(str(number))["params"] for number in range(3, 7)] == points[2:]


def test_a_trial_that_goes_on_is_told_with_all_its_epochs(searcher, ledger):
    """Its best epoch may have been trained before the study was resumed."""
    before, after = searcher(), searcher()
    before.suggest("a")
    earlier = [result(1, 0.25), result(2, 0.75)]
    after.replay(Suggestion.load(ledger(1)), earlier, None)
    after.suggest("b")
    for epoch in range(3, EPOCHS):
        after.on_trial_result("b", result(epoch, 0.5))
    after.on_trial_complete("b", result(EPOCHS, 0.5))
    ((state, value, intermediate),) = told(after)
    assert (state, value) == (TrialState.COMPLETE, 0.75)
    assert intermediate == {1: 0.25, 2: 0.75} | dict.fromkeys(range(3, EPOCHS + 1), 0.5)


def test_nothing_is_written_to_tunes_snapshots(searcher, tmp_path):
    searcher().save(str(tmp_path / "snapshot"))
    assert not (tmp_path / "snapshot").exists()


RECIPES = [{"head": "fpn", "sgd_lr": 1e-2}, {"head": "unet"}, {"head": "unet", "adam_lr": 1e-4}]


def test_recipes_are_tried_first_and_in_order_and_what_they_leave_open_is_drawn(searcher):
    ours = searcher(recipes=RECIPES)
    first = [ours.suggest(name)["params"] for name in "abc"]
    assert first[0] == {"head": "fpn", "lr": 1e-2, "epochs": EPOCHS}
    assert first[1]["head"] == "unet"
    assert 1e-4 < first[1]["lr"] < 1e-2
    assert first[2] == {"head": "unet", "lr": 1e-4, "epochs": EPOCHS}
    drawn = [ours.suggest(str(number))["params"] for number in range(8)]
    assert not [params for params in drawn if params in first]


def test_a_resumed_study_tries_the_recipes_that_it_has_not_tried(searcher, ledger):
    before, after = searcher(recipes=RECIPES), searcher(recipes=RECIPES)
    before.suggest("a")
    unfinished = before.suggest("b")
    after.replay(Suggestion.load(ledger(1)), curve(EPOCHS, 0.5), {"status": "completed"})
    after.replay(Suggestion.load(ledger(2)), curve(2, 0.25), None)
    assert after.suggest("x") == unfinished
    assert after.suggest("y") == {"number": 3, "params": {"head": "unet", "lr": 1e-4, "epochs": EPOCHS}}
    assert after.suggest("z")["params"]["lr"] not in (1e-2, 1e-4)


def test_a_recipe_that_cannot_be_trained_is_passed_over(searcher):
    def only_unet(params):
        if params["head"] != "unet":
            raise ValueError("no such head")

    ours = searcher(check=only_unet, recipes=RECIPES)
    assert ours.suggest("a")["params"]["head"] == "unet"
    assert ours.suggest("b")["params"] == {"head": "unet", "lr": 1e-4, "epochs": EPOCHS}
    assert ours.bad_suggestions == ["ValueError: no such head"]


POINTS = [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]


def test_a_grid_hands_out_its_points_in_order_and_ends(ledger):
    grid = GridSearch(POINTS, trial_files=ledger)
    handed = [grid.suggest(str(number)) for number in range(4)]
    assert handed == [{"number": n, "params": params} for n, params in enumerate(POINTS, start=1)] + [Searcher.FINISHED]
    assert [Suggestion.load(ledger(number)).params for number in (1, 2, 3)] == POINTS


def test_a_closed_search_hands_out_nothing_and_a_resumed_one_the_rest(searcher, ledger):
    ours, grid = searcher(), GridSearch(POINTS, trial_files=ledger)
    ours.replay(Suggestion(1, {"lr": 0.1}, {}), [], None)
    for closed in (ours, grid):
        closed.closed = True
        assert closed.suggest("a") == Searcher.FINISHED
        closed.closed = False
        assert closed.suggest("b")["number"] == 1


def test_a_resumed_grid_hands_out_what_has_not_ended(ledger):
    grid = GridSearch(POINTS, trial_files=ledger)
    grid.replay(Suggestion(1, POINTS[0], {}), [], {"status": "failed"})
    grid.replay(Suggestion(2, POINTS[1], {}), curve(2, 0.5), None)
    assert [grid.suggest(name)["number"] for name in "ab"] == [2, 3]
    assert grid.suggest("c") == Searcher.FINISHED


def test_what_the_ledger_cannot_keep_is_a_bad_suggestion(searcher):
    ours = searcher(lambda trial: {"batch_size": trial.suggest_categorical("batch_size", [{1, 2}, 4])})
    assert {ours.suggest(str(number))["params"]["batch_size"] for number in range(4)} == {4}
    assert any("not JSON serializable" in reason for reason in ours.bad_suggestions)


def test_weights_are_taken_from_where_a_resumed_study_says():
    suggestion = Suggestion(3, {"lr": 0.1, "weights_dir": "/old"}, {"lr": 0.1})
    assert suggestion.with_weights_from("/new").params == {"lr": 0.1, "weights_dir": "/new"}
    assert suggestion.with_weights_from(None) is suggestion


def test_a_dry_run_shows_what_the_search_will_draw(ledger):
    def sometimes(trial):
        params = suggest(trial)
        if params["head"] == "unet":
            raise ValueError("not this one")
        return params

    how = {"seed": 3, "epochs": EPOCHS, "trial_files": ledger, "check": lambda params: None, "constant_liar": True}
    searcher = TPESearch(sometimes, **how)
    drawn = [searcher.suggest(str(number))["params"] for number in range(5)]
    assert searcher.bad_suggestions, "a space that never raises proves nothing"
    shown = TPESearch(sometimes, **{**how, "trial_files": None})
    assert [shown.suggest(str(number))["params"] for number in range(5)] == drawn
