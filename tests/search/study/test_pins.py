"""--fix, --choices and --grid as they are typed: what is read from them, and what is refused."""

import pytest

from search.study.choices import Choice
from search.study.pins import check_key, check_narrowed, parse_choices, parse_fix
from search.study.settings import Settings
from search.study.space import Space, make_space
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.errors import UserError

CHOICES = {"optimizer": Choice("optimizer", values=("adamw", "sgd")), "warmup": Choice("warmup", low=2, high=4)}


@pytest.mark.parametrize(
    ("pair", "fixed"),
    [
        ("backbone=resnet50", {"backbone": "resnet50"}),
        ("lr=1e-3", {"lr": 0.001}),
        ("lr=.001", {"lr": 0.001}),
        ("lr=+.5e1", {"lr": 5.0}),
        ("lr=1.", {"lr": 1.0}),
        ("batch_size=8", {"batch_size": 8}),
        ("pretrained=false", {"pretrained": False}),
        ("pretrained=False", {"pretrained": False}),
        ("compile=TRUE", {"compile": True}),
        ("image_size=256", {"image_size": "256"}),
        ("weights_dir=2024", {"weights_dir": "2024"}),
        ("weights_dir=/a=b", {"weights_dir": "/a=b"}),
        ("fold=all", {"fold": "all"}),
        ("fold=3", {"fold": 3}),
        ("lr=nan", {"lr": "nan"}),
        ("head=null", {"head": "null"}),
        ("my_own=[1]", {"my_own": "[1]"}),
        ("seed=5", {"seed": 5}),
        (" lr = .001 ", {"lr": 0.001}),
    ],
)
def test_values_are_read_as_what_they_look_like(pair, fixed):
    parsed = parse_fix((pair,))
    assert parsed == fixed
    assert [type(value) for value in parsed.values()] == [type(value) for value in fixed.values()]


@pytest.mark.parametrize("pair", ["backbone", "=resnet50", "", "backbone="])
def test_a_fix_without_key_and_value_is_refused(pair):
    with pytest.raises(UserError, match=f"--fix {pair} is not understood: write key=value"):
        parse_fix((pair,))


def test_a_key_has_one_value():
    assert parse_fix(("lr=.1", "lr=0.1")) == {"lr": 0.1}
    with pytest.raises(UserError, match="--fix head is given as fpn and as unet"):
        parse_fix(("head=fpn", "head=unet"))
    with pytest.raises(UserError, match="--choices head is given twice"):
        parse_choices(("head=fpn", "head=unet"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fix": ("epochs=3",), "epochs": 5}, "--fix epochs=3 contradicts the flag that says 5"),
        ({"fix": ("head=fpn",), "choices": ("head=fpn,unet",)}, "head is pinned to fpn and also narrowed by --choices"),
        ({"fix": ("backbon=resnet50",)}, r"--fix backbon: unknown key \(did you mean backbone\?\)$"),
        ({"choices": ("hed=fpn",)}, r"--choices hed: the space quickstart does not suggest it \(did you mean head\?\)"),
        ({"choices": ("head=fpn,unett",)}, r"--choices head: unett is none .* \(did you mean unet\?\)"),
        ({"choices": ("epochs=1,2",)}, "--choices epochs: the space quickstart does not suggest it"),
        ({"choices": ("lr=1e-3",)}, r"--choices lr: its choices are a range \(.*\), so give two ends"),
        ({"choices": ("lr=1e-3,1",)}, r"--choices lr: 1 is none of the values of quickstart; they are 0.001 … 0.004"),
    ],
)
def test_flags_that_do_not_fit_are_refused_by_name(settings, message):
    with pytest.raises(UserError, match=message):
        make_space(Settings(space="quickstart", **settings))


def test_keys_that_nobody_knows_are_answered_with_the_nearest():
    check_key("--fix", "epochs", "mine", CHOICES)
    check_key("--fix", "warmup", "mine", CHOICES)
    with pytest.raises(UserError, match=r"--fix optimiser: unknown key \(did you mean optimizer\?\)$"):
        check_key("--fix", "optimiser", "mine", CHOICES)
    with pytest.raises(UserError, match=r"--fix zzz: unknown key; mine suggests optimizer, warmup; further keys: acc"):
        check_key("--fix", "zzz", "mine", CHOICES)


def test_true_is_not_the_value_1():
    with pytest.raises(UserError, match="--choices n: True is none of the values"):
        check_narrowed({"n": (True,)}, "mine", {"n": Choice("n", values=(0, 1))})


@pytest.fixture
def space_file(tmp_path):
    def write(text):
        path = tmp_path / "my_space.py"
        path.write_text(text)
        return str(path)

    return write


def drawn(space, count=40):
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space(study.ask()) for _ in range(count)]


def test_choices_narrow_what_is_drawn_and_keep_the_rest():
    settings = Settings(space="quickstart", choices=("head=unet,fpn", "lr=2e-3,3e-3", "loss=ce"))
    params = drawn(make_space(settings))
    assert {one["head"] for one in params} == {"unet", "fpn"}
    assert {one["loss"] for one in params} == {"ce"}
    assert all(2e-3 <= one["lr"] <= 3e-3 for one in params)
    assert {one["batch_size"] for one in params} == {4, 8}


def test_a_space_that_is_narrowed_has_the_recipes_that_fit(space_file):
    path = space_file("""
RECIPES = [{"head": "unet"}, {"head": "fpn"}]
def suggest(trial):
    return {"head": trial.suggest_categorical("head", ["unet", "fpn", "fcn"])}
""")
    assert make_space(Settings(space=path, choices=("head=fpn,fcn",))).recipes == [{"head": "fpn"}]


SEEDED = """
def suggest(trial):
    return {"head": "fpn", "backbone": "resnet18", "seed": trial.suggest_categorical("seed", [7, 8])}
"""


@pytest.mark.parametrize(
    ("flags", "seed"),
    [({}, 0), ({"seed": 3}, 3), ({"fix": ("seed=5",)}, 5), ({"fix": ("seed=5",), "seed": 3}, 5)],
)
def test_the_trials_have_the_seed_that_was_asked_for(flags, seed):
    assert TrialConfig.from_dict(make_space(Settings(space="quickstart", **flags)).first()).seed == seed


def test_a_seed_of_the_space_is_that_of_its_trials(space_file):
    space = make_space(Settings(space=space_file(SEEDED), seed=3))
    assert {params["seed"] for params in drawn(space)} == {7, 8}
    fixed = make_space(Settings(space=space_file(SEEDED), fix=("seed=5",)))
    assert {params["seed"] for params in drawn(fixed)} == {5}


@pytest.mark.parametrize("name", SPACES)
def test_recipes_of_our_spaces_are_suggestions_of_theirs(name):
    assert len(Space.load(name).recipes) == len(getattr(SPACES[name], "RECIPES", ()))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ('{"head": "unett"}', r"recipe 1 of space .*my_space.py sets 'head' to 'unett'.* \(did you mean unet\?\)"),
        ('{"hed": "unet"}', r"recipe 1 of space .* sets 'hed', which it does not suggest \(did you mean head\?\)"),
        ('{"lr": 5}', r"recipe 1 of space .* sets 'lr' to 5, which is not allowed: 0.1 … 0.3"),
        ('["head"]', r"recipe 1 of space .* is \['head'\], but must be a dict"),
    ],
)
def test_a_recipe_that_the_space_cannot_suggest_is_refused(space_file, recipe, message):
    path = space_file(f"""
RECIPES = [{recipe}]
def suggest(trial):
    return {{"head": trial.suggest_categorical("head", ["unet", "fpn"]), "lr": trial.suggest_float("lr", 0.1, 0.3)}}
""")
    with pytest.raises(UserError, match=message):
        _ = Space.load(path).recipes


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            'size = trial.suggest_categorical("size", ["s", "l"])\n'
            '    return {"head": trial.suggest_categorical("head", ["unet"] if size == "s" else ["fpn", "fcn"])}',
            "suggests 'head' from unet, but from fpn | fcn where size=l: .*such as head_of_l",
        ),
        ('return {"lr": trial.suggest_float("lr", 1e-3, 1e-4)}', "'lr' has the range 0.001 to 0.0001"),
        ('return {"lr": trial.suggest_float("lr", 0, 1, log=True)}', "'lr' has the range 0 to 1"),
        (
            'if trial.suggest_categorical("a", [False, True]):\n        trial.suggest_int("b", 3, 1)\n    return {}',
            "'b' has the range 3 to 1",
        ),
        ('return {"head": trial.suggest_categorical("head", [])}', "'head' has no usable choices"),
        (
            'trial.suggest_float("lr", 0, 1)\n    return {"lr": trial.suggest_float("lr", 1, 2)}',
            "'lr' is suggested twice in one call",
        ),
    ],
)
def test_what_optuna_would_refuse_is_refused_before(space_file, body, message):
    with pytest.raises(UserError, match=message):
        _ = Space.load(space_file(f"def suggest(trial):\n    {body}\n")).choices
