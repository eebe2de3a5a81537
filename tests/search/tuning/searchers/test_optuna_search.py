"""OptunaSearch: what it suggests, and what a resumed study hands out again."""

from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.tuning.schedulers.ladder import Ladder, Run
from search.tuning.schedulers.promotion import Promotion
from search.tuning.searchers.optuna_search import MAX_BAD_SUGGESTIONS, OptunaSearch
from search.tuning.searchers.suggestion import Suggestion
from tests.search.tuning.searchers.made import EPOCHS, result, suggest, told

optuna.logging.set_verbosity(optuna.logging.ERROR)


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


@pytest.mark.parametrize("raised", [optuna.TrialPruned, SystemExit])
def test_a_space_that_fails_now_and_then_goes_on_and_its_reasons_are_kept(searcher, raised):
    calls = iter(range(100))

    def sometimes(trial):
        if next(calls) % 2 == 0:
            raise raised("not this one")
        return suggest(trial)

    ours = searcher(sometimes)
    assert [ours.suggest(name)["number"] for name in "abc"] == [1, 2, 3]
    assert ours.bad_suggestions == [f"{raised.__name__}: not this one"] * 3
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


def test_a_closed_search_hands_out_nothing_and_a_resumed_one_the_rest(searcher):
    ours = searcher()
    ours.replay(Suggestion(1, {"lr": 0.1}, {}), [], None)
    ours.closed = True
    assert ours.suggest("a") == Searcher.FINISHED
    ours.closed = False
    assert ours.suggest("b")["number"] == 1


def test_what_the_ledger_cannot_keep_is_a_bad_suggestion(searcher):
    ours = searcher(lambda trial: {"batch_size": trial.suggest_categorical("batch_size", [{1, 2}, 4])})
    assert {ours.suggest(str(number))["params"]["batch_size"] for number in range(4)} == {4}
    assert any("not JSON serializable" in reason for reason in ours.bad_suggestions)


def test_a_dry_run_shows_what_the_search_will_draw(ledger):
    def sometimes(trial):
        params = suggest(trial)
        if params["head"] == "unet":
            raise ValueError("not this one")
        return params

    how = {
        "seed": 3,
        "epochs": EPOCHS,
        "trial_files": ledger,
        "check": lambda params: None,
        "constant_liar": True,
        "trials": 100,
    }
    searcher = OptunaSearch(sometimes, **how)
    drawn = [searcher.suggest(str(number))["params"] for number in range(5)]
    assert searcher.bad_suggestions, "a space that never raises proves nothing"
    shown = OptunaSearch(sometimes, **{**how, "trial_files": None})
    assert [shown.suggest(str(number))["params"] for number in range(5)] == drawn


def promotion(*runs):
    scheduler = Promotion(Ladder(epochs=EPOCHS, grace_period=1, reduction_factor=3.0, brackets=1, seed=0))
    scheduler.replay([Run(number, [result(1, score)]) for number, score in runs])
    return scheduler


def test_a_promoted_trial_is_handed_out_before_a_new_one(searcher):
    scheduler = promotion()
    ours = searcher(promotion=scheduler, trials=4)
    first = {name: ours.suggest(name) for name in "abc"}
    for name, score in zip("abc", (0.3, 0.2, 0.1)):
        number = first[name]["number"]
        assert scheduler.on_trial_result(None, SimpleNamespace(config=first[name]), result(1, score)) == "STOP"
        assert number in scheduler.paused
        ours.on_trial_complete(name, result(1, score))
    assert ours.suggest("d") == first["a"]
    assert ours.suggest("e")["number"] == 4


def test_a_search_that_promotes_waits_for_running_trials_and_then_ends(searcher):
    """The best of the last trials goes on to its end: here it is the only one."""
    scheduler = promotion()
    ours = searcher(promotion=scheduler, trials=1)
    trial = SimpleNamespace(config=ours.suggest("a"))
    assert ours.suggest("b") is None, "trial 1 may come to be promoted"
    decisions = [scheduler.on_trial_result(None, trial, result(epoch, 0.3)) for epoch in range(1, EPOCHS + 1)]
    assert decisions == ["CONTINUE"] * (EPOCHS - 1) + ["STOP"]
    ours.on_trial_complete("a", result(EPOCHS, 0.3))
    assert ours.suggest("b") == Searcher.FINISHED


def test_a_search_that_promotes_hands_out_the_best_of_its_last_trials(searcher):
    scheduler = promotion()
    ours = searcher(promotion=scheduler, trials=2)
    first = {name: ours.suggest(name) for name in "ab"}
    for name, score in zip("ab", (0.2, 0.3)):
        assert scheduler.on_trial_result(None, SimpleNamespace(config=first[name]), result(1, score)) == "STOP"
        ours.on_trial_complete(name, result(1, score))
    assert ours.suggest("c") == first["b"], "a third of two trials is one, rounded up"
    assert ours.suggest("d") is None


def test_a_resumed_search_hands_out_what_was_running_then_what_is_promoted_then_new_trials(searcher, ledger):
    before = searcher()
    for number in range(1, 5):
        before.suggest(str(number))
    scheduler = promotion((1, 0.1), (2, 0.3), (3, 0.2))
    after = searcher(promotion=scheduler)
    for number, score in ((1, 0.1), (2, 0.3), (3, 0.2)):
        after.replay(Suggestion.load(ledger(number)), [result(1, score)], None)
    after.replay(Suggestion.load(ledger(4)), [result(1, 0.3), result(2, 0.3)], None)
    assert [after.suggest(name)["number"] for name in "abc"] == [4, 2, 5]


def test_a_search_ends_after_so_many_trials(searcher, ledger):
    ours = searcher(trials=2)
    ours.replay(Suggestion(7, {"lr": 0.1}, {}), [], {"status": "failed"})
    assert ours.suggest("a")["number"] == 8
    assert ours.suggest("b") == Searcher.FINISHED


class PrefersHighRates:
    """What other studies said, made up: of `count` configurations, the one of the highest rate is the best."""

    def __init__(self, count):
        self.count = count

    def candidates(self, trials):
        return max(1, self.count - trials)

    def expected(self, values):
        return max(value for name, value in values.items() if name != "head")


def test_of_several_draws_the_one_is_handed_out_that_other_studies_speak_for(searcher, ledger):
    rates = {
        count: [searcher(seed=seed, learnt=PrefersHighRates(count)).suggest("a")["params"]["lr"] for seed in range(10)]
        for count in (1, 20)
    }
    assert sorted(rates[20])[1] > sorted(rates[1])[6]
    plain = [searcher(seed=seed).suggest("a")["params"]["lr"] for seed in range(10)]
    assert rates[1] == plain  # of one draw there is nothing to choose

    ours = searcher(learnt=PrefersHighRates(5))
    assert [ours.suggest(name)["number"] for name in "abcdef"] == [1, 2, 3, 4, 5, 6]
    states = [trial.state for trial in ours.study.trials]
    assert states.count(TrialState.RUNNING) == 6
    assert states.count(TrialState.FAIL) == 4 + 3 + 2 + 1  # the draws that were not chosen
    assert not ours.bad_suggestions


def test_a_recipe_is_tried_whatever_other_studies_say(searcher):
    ours = searcher(recipes=[{"head": "fpn", "sgd_lr": 1e-4}], learnt=PrefersHighRates(9))
    assert ours.suggest("a")["params"]["lr"] == 1e-4
    assert len(ours.study.trials) == 1


def test_a_resumed_study_that_learns_suggests_what_it_would_have(searcher, ledger):
    learnt = PrefersHighRates(12)
    ends = [([result(epoch, 0.1 * number + epoch / 100) for epoch in (1, 2)], False) for number in range(1, 13)]
    whole = searcher(learnt=learnt)
    history = played(whole, ledger, ends)
    expected = [whole.suggest(name)["params"] for name in "xy"]

    resumed = searcher(learnt=learnt)
    for suggestion, records, verdict in history:
        resumed.replay(suggestion, records, verdict)
    assert [resumed.suggest(name)["params"] for name in "xy"] == expected


def test_a_space_that_always_fails_ends_a_search_that_learns(searcher):
    def never(trial):
        raise KeyError("head")

    ours = searcher(never, learnt=PrefersHighRates(30))
    assert ours.suggest("a") == Searcher.FINISHED
    assert len(ours.bad_suggestions) == MAX_BAD_SUGGESTIONS


def test_a_space_that_goes_on_failing_leaves_the_other_trials_out(searcher):
    def twice(trial):
        if trial.number >= 2:
            raise KeyError("head")
        return {"head": "fpn", "backbone": "resnet18", "lr": 0.1, "epochs": EPOCHS}

    ours = searcher(twice, trials=5)
    assert [ours.suggest(name) == Searcher.FINISHED for name in "abc"] == [False, False, True]
    assert ours.not_suggested == 3
