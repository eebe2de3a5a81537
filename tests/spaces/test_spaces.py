"""The spaces that come with SegVote: whatever they suggest can be trained."""

import optuna
import pytest

from search.study.space import Space
from search.tuning.searchers.optuna_search import OptunaSearch
from spaces import SPACES
from spaces._batch_size import BACKBONES, CARD_GB, batch, estimated_gb
from spaces._batch_size import HEADS as HEADS_IN_MEMORY
from trainables.config import TrialConfig
from trainables.known_names import check_backbone
from trainables.models import HEADS
from trainables.pretrained_files import find_packaged

optuna.logging.set_verbosity(optuna.logging.ERROR)
SUGGESTIONS = 200


@pytest.fixture(scope="module", params=SPACES)
def space(request):
    return Space.load(request.param, folds=5)


@pytest.fixture(scope="module")
def suggested(space):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space(study.ask()) for _ in range(SUGGESTIONS)]


def test_every_suggestion_is_a_valid_configuration(suggested):
    configs = [TrialConfig.from_dict(params) for params in suggested if params["head"] in HEADS]
    assert len(configs) > SUGGESTIONS / 4


def test_suggestions_are_plain_values(suggested):
    kinds = {type(value) for params in suggested for value in params.values()}
    assert kinds <= {str, int, float, bool}


def test_all_trials_of_a_space_train_equally_long_at_the_same_size(suggested):
    """ASHA compares them by epoch, and the holdout is packed once."""
    assert len({(params["epochs"], params["image_size"]) for params in suggested}) == 1


def test_every_choice_is_drawn_and_nothing_else(space, suggested):
    for name, choice in space.choices.items():
        drawn = {params[name] for params in suggested if name in params}
        if drawn and choice.values:
            assert drawn == set(choice.values)
        elif drawn:
            assert choice.low <= min(drawn) <= max(drawn) <= choice.high


def test_every_backbone_exists(space):
    choice = space.choices.get("backbone")
    for backbone in choice.values if choice else [space.first()["backbone"]]:
        check_backbone(backbone)


def first_suggestions(space, count):
    """Return what a search of the space tries first."""
    search = OptunaSearch(
        space,
        seed=0,
        epochs=space.first()["epochs"],
        check=TrialConfig.from_dict,
        constant_liar=False,
        trials=count,
        recipes=space.recipes,
    )
    return [search.suggest(str(number))["params"] for number in range(count)]


def recipes_of(space):
    return [
        pytest.param(Space.load(space, folds=5), recipe, id=f"{space}-{recipe['head']}")
        for recipe in getattr(SPACES[space], "RECIPES", [])
    ]


EVERY_RECIPE = [recipe for space in SPACES for recipe in recipes_of(space)]


@pytest.mark.parametrize(("space", "recipe"), EVERY_RECIPE)
def test_every_value_of_a_recipe_is_one_that_the_space_could_draw(space, recipe):
    """Optuna only warns of others, and draws something else."""
    study = optuna.create_study()
    study.enqueue_trial(recipe)
    trial = study.ask()
    params = space(trial)
    assert {name: trial.params.get(name) for name in recipe} == recipe
    if params["head"] in HEADS:
        TrialConfig.from_dict(params)


def test_every_head_of_swin_and_of_cnns_has_a_published_recipe():
    for name in ("swin_heads", "cnn_heads"):
        heads = {recipe["head"] for recipe in SPACES[name].RECIPES}
        assert heads == set(Space.load(name).choices["head"].values)


def test_knet_on_the_large_swin_drops_more_paths():
    first = first_suggestions(Space.load("swin_heads", folds=5), count=7)
    rates = [params["drop_path"] for params in first if params["head"] == "knet_upernet"]
    assert rates == [0.3, 0.4]
    backbones = [params["backbone"].split("_")[1] for params in first if params["head"] == "knet_upernet"]
    assert backbones == ["tiny", "large"]


PUBLISHED = {
    ("swin_heads", "upernet"): {"lr": 6e-5, "weight_decay": 0.01, "drop_path": 0.3, "head_lr_factor": 1.0},
    ("swin_heads", "semask_fpn"): {"lr": 1e-4, "weight_decay": 1e-4, "drop_path": 0.3},
    ("swin_heads", "knet_upernet"): {"lr": 6e-5, "weight_decay": 5e-4, "schedule": "step", "grad_clip": 1.0},
    ("swin_heads", "segformer"): {"lr": 6e-5, "head_lr_factor": 10.0, "drop_path": 0.1},
    ("convnext_heads", "upernet"): {"lr": 1e-4, "weight_decay": 0.05, "layer_decay": 0.9, "drop_path": 0.4},
    ("beit_heads", "upernet"): {"lr": 3e-5, "layer_decay": 0.9, "drop_path": 0.1, "image_size": "640"},
    ("cnn_heads", "ocr"): {
        "backbone": "hrnet_w48",
        "optimizer": "sgd",
        "lr": 0.01,
        "weight_decay": 5e-4,
        "schedule": "poly",
    },
    ("cnn_heads", "fcn"): {"backbone": "resnet50", "optimizer": "sgd", "lr": 0.01},
    ("cnn_heads", "unetplusplus"): {"optimizer": "adam", "lr": 3e-4, "warmup_epochs": 0.0},
}


@pytest.mark.parametrize(("name", "head"), PUBLISHED)
def test_the_searcher_tries_the_recipes_first(name, head):
    space = Space.load(name, folds=5)
    first = first_suggestions(space, count=len(space.recipes))
    params = next(params for params in first if params["head"] == head)
    assert {key: params[key] for key in PUBLISHED[name, head]} == PUBLISHED[name, head]
    assert params["batch_size"] * params["accumulate"] == 16
    assert params["loss"] == "ce"


def test_all_heads_begins_with_one_recipe_a_family():
    space = Space.load("all_heads", folds=5)
    first = first_suggestions(space, count=6)
    families = [params["backbone"].split("_")[0] for params in first]
    assert families == ["swin", "hrnet", "convnext", "beit", "mit", "resnet50"]


@pytest.mark.parametrize("name", ["swin_heads", "beit_heads", "convnext_heads", "cnn_heads", "all_heads"])
def test_batches_fit_the_card_by_estimate(name):
    space = Space.load(name)
    size = int(space.first()["image_size"])
    for backbone in space.choices["backbone"].values:
        for head in space.choices["head"].values:
            assert backbone in BACKBONES
            assert head in HEADS_IN_MEMORY
            fitting = batch(backbone, head, 16, image_size=size)
            assert fitting["batch_size"] * fitting["accumulate"] == 16
            assert estimated_gb(backbone, head, fitting["batch_size"], image_size=size) < CARD_GB


def test_the_estimate_counts_parameters_and_photos():
    """By hand, for Swin-T under UPerNet: 71 M parameters, 269 M values a photo."""
    without = 18 * 71e6 / 2**30
    assert estimated_gb("swin_tiny_patch4_window7_224", "upernet", 0) == pytest.approx(without)
    photo = (3 * 269e6 + 60 * 512 * 512) / 2**30
    assert estimated_gb("swin_tiny_patch4_window7_224", "upernet", 2) == pytest.approx(without + 2 * photo)
    quarter = estimated_gb("swin_tiny_patch4_window7_224", "upernet", 2, image_size=256)
    assert quarter == pytest.approx(without + photo / 2)


def test_what_is_in_no_table_counts_as_the_largest():
    unknown = estimated_gb("vit_giant", "mine", 1)
    assert unknown >= max(estimated_gb(backbone, "upernet", 1) for backbone in BACKBONES)


def test_the_first_configuration_is_valid(space):
    assert TrialConfig.from_dict(space.first()).epochs == space.first()["epochs"]


def test_each_space_says_what_it_is(space):
    assert len((space.module.__doc__ or "").strip().splitlines()[0]) > 20
    assert space.trials >= 4


def test_quickstart_needs_neither_a_gpu_nor_a_download_nor_data():
    space = Space.load("quickstart")
    assert find_packaged(space.first()["backbone"])
    assert space.data == "sample"
    assert space.scores_test


def test_swin_heads_accumulates_where_photos_do_not_fit_at_once():
    space = Space.load("swin_heads")
    large = space.first(backbone="swin_large_patch4_window7_224", effective_batch=16)
    small = space.first(backbone="swin_tiny_patch4_window7_224", effective_batch=16)
    assert (large["batch_size"], large["accumulate"]) == (8, 2)
    assert (small["batch_size"], small["accumulate"]) == (16, 1)
    assert "effective_batch" not in large


def test_cnn_heads_has_rates_of_its_own_for_each_optimizer():
    space = Space.load("cnn_heads")
    assert space.first(optimizer="sgd")["lr"] == pytest.approx((1e-3 * 5e-2) ** 0.5)
    assert space.first(optimizer="adamw")["lr"] == pytest.approx((1e-4 * 2e-3) ** 0.5)
