"""Spaces as flags bend them: pinned, put on a grid, limited in folds, and loaded from users' files."""

import itertools
import json
import pickle

import optuna
import pytest

from search.study.choices import Choice, plain_choices
from search.study.pins import parse_value
from search.study.settings import Settings
from search.study.space import Space, describe_spaces, grid_points, make_space, repeats
from spaces import SPACES
from trainables.errors import UserError

optuna.logging.set_verbosity(optuna.logging.ERROR)

CONDITIONAL = """
TRIALS = 7
DATA = "sample"

def suggest(trial):
    optimizer = trial.suggest_categorical("optimizer", ["adamw", "sgd"])
    values = {"optimizer": optimizer, "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, "all"]), "epochs": 9}
    if optimizer == "sgd":
        values["momentum"] = trial.suggest_float("momentum", 0.8, 0.9)
        if trial.suggest_categorical("long_warmup", [False, True]):
            values["warmup_epochs"] = trial.suggest_int("warmup", 2, 4)
    else:
        values["lr"] = trial.suggest_float("adamw_lr", 1e-4, 1e-2, log=True)
    return values
"""


@pytest.fixture
def space_file(tmp_path):
    def write(text=CONDITIONAL):
        path = tmp_path / "my_space.py"
        path.write_text(text)
        return str(path)

    return write


def drawn(space, count=50):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space(study.ask()) for _ in range(count)]


def test_a_users_file_is_a_space(space_file):
    space = Space.load(space_file())
    assert (space.trials, space.data) == (7, "sample")
    assert {params["optimizer"] for params in drawn(space)} == {"adamw", "sgd"}


def test_a_file_without_trials_and_data_has_defaults(space_file):
    space = Space.load(space_file("def suggest(trial):\n    return {}\n"))
    assert (space.trials, space.data) == (20, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def suggest(trial:\n", "my_space.py cannot be imported: SyntaxError"),
        ("import no_such_module\n", "my_space.py cannot be imported: ModuleNotFoundError: .*no_such_module"),
        ("1 / 0\n", "my_space.py cannot be imported: ZeroDivisionError"),
        ("def propose(trial):\n    return {}\n", r"my_space.py has no function suggest\(trial\)"),
        ("suggest = {}\n", r"my_space.py has no function suggest\(trial\)"),
    ],
)
def test_a_file_that_is_no_space_is_refused(space_file, text, message):
    with pytest.raises(UserError, match=message):
        Space.load(space_file(text))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "quickstrat",
            r"unknown space .quickstrat. \(did you mean quickstart\?\): choose one of quickstart",
        ),
        ("nowhere/my_space.py", "there is no space file nowhere/my_space.py"),
    ],
)
def test_an_unknown_space_is_answered_with_those_there_are(name, message):
    with pytest.raises(UserError, match=message):
        Space.load(name)


@pytest.mark.parametrize(("returned", "kind"), [("None", "NoneType"), ("['lr']", "list")])
def test_a_suggestion_must_be_a_dict(space_file, returned, kind):
    space = Space.load(space_file(f"def suggest(trial):\n    return {returned}\n"))
    with pytest.raises(UserError, match=f"my_space.py returned {kind}, but must return a dict"):
        drawn(space, 1)


def test_a_suggestion_that_raises_is_told_when_the_choices_are_asked_for(space_file):
    space = Space.load(space_file("def suggest(trial):\n    raise RuntimeError('no idea')\n"))
    with pytest.raises(UserError, match=r"my_space\.py fails: RuntimeError: no idea"):
        _ = space.choices


def test_choices_that_only_others_lead_to_are_found(space_file):
    choices = Space.load(space_file()).choices
    assert choices == {
        "optimizer": Choice("optimizer", values=("adamw", "sgd")),
        "fold": Choice("fold", values=(0, 1, 2, 3, "all")),
        "adamw_lr": Choice("adamw_lr", low=1e-4, high=1e-2, log=True),
        "momentum": Choice("momentum", low=0.8, high=0.9),
        "long_warmup": Choice("long_warmup", values=(False, True)),
        "warmup": Choice("warmup", low=2, high=4),
    }


def test_a_choice_that_fails_under_some_condition_hides_no_other(space_file):
    text = CONDITIONAL.replace('values["momentum"]', 'assert trial is None\n        values["momentum"]')
    assert list(Space.load(space_file(text)).choices) == ["optimizer", "fold", "adamw_lr"]


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (Choice("head", values=("unet", "fpn")), "unet | fpn"),
        (Choice("lr", low=1e-4, high=0.01, log=True), "0.0001 … 0.01 (log scale)"),
        (Choice("drop_path", low=0.0, high=0.5), "0 … 0.5"),
    ],
)
def test_choices_read_well(choice, text):
    assert str(choice) == text


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ({"optimizer": "sgd"}, {"optimizer": "sgd"}),
        ({"optimizer": "adamw", "adamw_lr": 0.5}, {"optimizer": "adamw", "lr": 0.5}),
        ({"lr": 0.25}, {"lr": 0.25}),
        ({"epochs": 2, "head": "unet"}, {"epochs": 2, "head": "unet"}),
        ({"fold": 3}, {"fold": 3}),
    ],
)
def test_what_is_pinned_is_the_same_in_every_suggestion(space_file, fixed, expected):
    for params in drawn(Space.load(space_file(), fixed)):
        assert {key: params.get(key) for key in expected} == expected


def test_a_pinned_suggestion_is_no_key_of_the_result_and_not_sampled(space_file):
    space = Space.load(space_file(), {"optimizer": "adamw", "adamw_lr": 0.5})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    assert set(space(trial)) == {"optimizer", "fold", "epochs", "lr"}
    assert set(trial.params) == {"fold"}


@pytest.mark.parametrize(("folds", "left"), [(2, {0, 1, "all"}), (3, {0, 1, 2, "all"}), (9, {0, 1, 2, 3, "all"})])
def test_no_fold_is_drawn_that_the_study_does_not_have(space_file, folds, left):
    assert {params["fold"] for params in drawn(Space.load(space_file(), folds=folds))} == left


def test_the_first_configuration_has_first_choices_and_middles(space_file):
    assert Space.load(space_file()).first() == {
        "optimizer": "adamw",
        "fold": 0,
        "epochs": 9,
        "lr": pytest.approx(1e-3),  # the middle of 1e-4 … 1e-2 on a log scale
    }
    sgd = Space.load(space_file()).first(optimizer="sgd", long_warmup=True)
    assert (sgd["momentum"], sgd["warmup_epochs"]) == (pytest.approx(0.85), 3)


def test_middles_lie_on_their_steps(space_file):
    text = "def suggest(trial):\n    return {'drop_path': trial.suggest_float('drop_path', 0.0, 0.5, step=0.2)}\n"
    assert Space.load(space_file(text)).first()["drop_path"] in (pytest.approx(0.2), pytest.approx(0.4))


@pytest.mark.parametrize(
    ("body", "fixed", "varies"),
    [
        ("{'lr': 0.1}", {}, False),
        ("{'lr': trial.suggest_float('lr', 0.1, 0.2)}", {}, True),
        ("{'lr': trial.suggest_float('lr', 0.1, 0.2)}", {"lr": 0.1}, False),
        ("{'lr': trial.suggest_float('lr', 0.1, 0.1)}", {}, False),
        ("{'head': trial.suggest_categorical('head', ['fpn'])}", {}, False),
        ("{'head': trial.suggest_categorical('head', ['fpn', 'unet'])}", {"lr": 0.1}, True),
    ],
)
def test_a_space_knows_whether_its_trials_can_differ(space_file, body, fixed, varies):
    assert Space.load(space_file(f"def suggest(trial):\n    return {body}\n"), fixed).varies == varies


def test_the_high_end_of_a_range_lies_on_its_steps(space_file):
    text = "def suggest(trial):\n    return {'drop_path': trial.suggest_float('drop_path', 0.0, 0.5, step=0.2)}\n"
    assert Space.load(space_file(text)).choices["drop_path"].high == pytest.approx(0.4)


def test_a_grid_varies_its_factor_alone(space_file):
    points = grid_points(Space.load(space_file()), ("fold",))
    assert [point["fold"] for point in points] == [0, 1, 2, 3, "all"]
    rest = [{key: value for key, value in point.items() if key != "fold"} for point in points]
    assert all(other == rest[0] for other in rest)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        (("adamw_lr=1e-3,1e-2",), [{"lr": 0.001}, {"lr": 0.01}]),
        (("lr=1e-3,1e-2",), [{"lr": 0.001}, {"lr": 0.01}]),
        (("image_size=64,96x64",), [{"image_size": "64"}, {"image_size": "96x64"}]),
        (
            ("optimizer", "fold=all,0"),
            [
                {"optimizer": "adamw", "fold": "all"},
                {"optimizer": "adamw", "fold": 0},
                {"optimizer": "sgd", "fold": "all"},
                {"optimizer": "sgd", "fold": 0},
            ],
        ),
    ],
)
def test_grids_are_the_product_of_their_values(space_file, grid, expected):
    points = grid_points(Space.load(space_file()), grid)
    assert [{key: point[key] for key in one} for point, one in zip(points, expected, strict=True)] == expected


def test_a_grid_keeps_what_flags_pin(space_file):
    points = grid_points(Space.load(space_file(), {"epochs": 2, "optimizer": "sgd"}), ("fold=0,1",))
    assert [(point["epochs"], point["optimizer"]) for point in points] == [(2, "sgd"), (2, "sgd")]


def test_points_come_again_with_every_seed_and_fold(space_file):
    settings = Settings(space=space_file(), grid=("optimizer",), seeds=2, all_folds=True, folds=2, seed=7)
    points = grid_points(Space.load(settings.space), settings.grid, repeats(settings))
    found = [(point["seed"], point["fold"], point["optimizer"]) for point in points]
    assert found == list(itertools.product((7, 8), (0, 1), ("adamw", "sgd")))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"seeds": 2}, "--seeds 2 repeats the points of a grid, but there is none"),
        ({"all_folds": True}, "--all-folds repeats the points of a grid"),
        ({"all_folds": True, "grid": ("fold",)}, "--all-folds varies the fold, which another flag also sets"),
        (
            {"seeds": 2, "grid": ("optimizer",), "fix": ("seed=3",)},
            "--seeds varies the seed, which another flag also sets",
        ),
    ],
)
def test_repetitions_that_repeat_nothing_are_refused(space_file, flags, message):
    with pytest.raises(UserError, match=message):
        points_of(space=space_file(), **flags)


def points_of(**flags):
    settings = Settings(**flags)
    return grid_points(make_space(settings), settings.grid, repeats(settings))


def test_without_a_grid_there_are_no_points(space_file):
    assert grid_points(Space.load(space_file()), ()) == []


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("optimzer", r"--grid optimzer: unknown key \(did you mean optimizer\?\)$"),
        ("batch_size", r"--grid batch_size: the space .*my_space.py does not vary it, so name the values, .*=A,B; "),
        ("fold=0,", "--grid fold=0, has an empty value"),
        ("adamw_lr", r"--grid adamw_lr: its choices are a range \(0.0001 … 0.01 \(log scale\)\), so name the values"),
    ],
)
def test_a_grid_must_know_its_values(space_file, grid, message):
    with pytest.raises(UserError, match=message):
        grid_points(Space.load(space_file()), (grid,))


def test_a_space_can_be_pickled_with_what_is_pinned(space_file):
    space = pickle.loads(pickle.dumps(Space.load(space_file(), {"optimizer": "sgd"}, folds=2)))
    assert (space.fixed, space.folds) == ({"optimizer": "sgd"}, 2)
    assert {params["optimizer"] for params in drawn(space)} == {"sgd"}


RECIPES = """
RECIPES = [{"head": "unet", "lr": 0.1}, {"head": "fpn", "lr": 0.2}, {"head": "fpn"}]

def suggest(trial):
    return {"head": trial.suggest_categorical("head", ["unet", "fpn"]), "lr": trial.suggest_float("lr", 0.1, 0.3)}
"""


@pytest.mark.parametrize(
    ("fixed", "recipes"),
    [
        ({}, [{"head": "unet", "lr": 0.1}, {"head": "fpn", "lr": 0.2}, {"head": "fpn"}]),
        ({"epochs": 3}, [{"head": "unet", "lr": 0.1}, {"head": "fpn", "lr": 0.2}, {"head": "fpn"}]),
        ({"head": "unet"}, [{"lr": 0.1}]),
        ({"head": "fpn"}, [{"lr": 0.2}]),
        ({"lr": 0.2}, [{"head": "fpn"}, {"head": "fpn"}]),
        ({"lr": 0.3}, [{"head": "fpn"}]),
        ({"head": "segformer"}, []),
    ],
)
def test_recipes_are_those_that_pinned_values_allow(space_file, fixed, recipes):
    assert Space.load(space_file(RECIPES), fixed).recipes == recipes


def test_a_space_without_recipes_has_none(space_file):
    assert Space.load(space_file()).recipes == []


def test_spaces_describe_themselves():
    described = {name: (summary, choices) for name, summary, choices in describe_spaces()}
    assert list(described) == list(SPACES)
    summary, choices = described["cnn_heads"]
    assert summary.startswith("Convolutional backbones")
    assert {"adamw_lr", "sgd_lr", "sgd_weight_decay"} <= set(choices)


def test_an_image_size_stays_a_text():
    assert parse_value("image_size", "512") == "512"
    assert parse_value("batch_size", "512") == 512


def test_a_space_file_may_use_what_lies_beside_it_and_dataclasses(space_file, tmp_path):
    (tmp_path / "helpers_beside_the_space.py").write_text("RATES = [1e-3, 1e-2]\n")
    text = """
from __future__ import annotations

import dataclasses

import helpers_beside_the_space


@dataclasses.dataclass
class Rates:
    lr: float


def suggest(trial):
    from helpers_beside_the_space import RATES

    return dataclasses.asdict(Rates(trial.suggest_categorical("lr", RATES)))
"""
    assert Space.load(space_file(text)).first() == {"lr": 1e-3}


def test_modules_beside_a_space_file_hide_none_of_an_installed_package(space_file, tmp_path):
    (tmp_path / "colorsys.py").write_text("raise ImportError('the wrong one')\n")
    Space.load(space_file("import colorsys\n\n\ndef suggest(trial):\n    return {}\n"))


@pytest.mark.parametrize(
    "choices",
    ["np.array([4, 8])", "[np.int64(4), np.int64(8)]", "(4 * one for one in (1, 2))", "{4: 'a', 8: 'b'}.keys()"],
)
def test_choices_from_numpy_and_other_iterables_are_plain_values(space_file, choices):
    body = f"return {{'batch_size': trial.suggest_categorical('batch_size', {choices}), 'lr': np.float32(0.5)}}"
    space = Space.load(space_file(f"import numpy as np\n\n\ndef suggest(trial):\n    {body}\n"))
    assert space.choices["batch_size"].values == (4, 8)
    for params in (space.first(), *drawn(space)):
        assert json.loads(json.dumps(params)) == params
        assert [type(value) for value in params.values()] == [int, float]


def test_what_a_space_prints_is_no_part_of_the_output(space_file, capsys):
    Space.load(space_file("print('loaded')\n\n\ndef suggest(trial):\n    print('asked')\n    return {}\n")).first()
    assert capsys.readouterr() == ("", "loaded\nasked\n")


def test_recipes_from_numpy_are_plain_values(space_file):
    text = "import numpy as np\nRECIPES = [{'lr': rate} for rate in np.array([1, 2])]\n"
    space = Space.load(space_file(text + "\n\ndef suggest(trial):\n    return {'lr': trial.suggest_int('lr', 1, 3)}\n"))
    assert json.dumps(space.recipes) == '[{"lr": 1}, {"lr": 2}]'


def test_the_choices_of_a_set_have_one_order_in_all_processes():
    assert plain_choices({"sgd", "adamw", "lion"}) == ["adamw", "lion", "sgd"]


def test_a_space_may_look_at_what_it_was_answered(space_file):
    body = (
        "trial.suggest_int('batch_size', 2, 4)\n    trial.suggest_categorical('head', ['fpn'])\n    return trial.params"
    )
    space = Space.load(space_file(f"def suggest(trial):\n    {body}\n"))
    assert space.first() == {"batch_size": 3, "head": "fpn"}


@pytest.mark.parametrize(
    "constant",
    ["TRIALS = 0", "TRIALS = 2.5", "TRIALS = True", "GRACE_PERIOD = '4'", "DATA = 5", "RECIPES = {'lr': 1e-3}"],
)
def test_a_constant_of_another_kind_is_refused_by_name(space_file, constant):
    name = constant.split()[0]
    with pytest.raises(UserError, match=rf"my_space.py sets {name} to .*, but it must be a"):
        Space.load(space_file(f"{constant}\n\n\ndef suggest(trial):\n    return {{}}\n"))
