"""The spaces that come with SegVote: whatever they suggest can be trained."""

import optuna
import pytest

from search.space import Space
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.models.backbones import check_backbone

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
    configs = [TrialConfig.from_dict(params) for params in suggested]
    assert len(configs) == SUGGESTIONS


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
    for backbone in space.choices["backbone"].values:
        check_backbone(backbone)


def test_the_first_configuration_is_valid(space):
    assert TrialConfig.from_dict(space.first()).epochs == space.first()["epochs"]


def test_each_space_says_what_it_is(space):
    assert len((space.module.__doc__ or "").strip().splitlines()[0]) > 20
    assert space.trials >= 5


def test_quickstart_needs_neither_a_gpu_nor_a_download_nor_data():
    first = Space.load("quickstart").first()
    assert first["pretrained"] is False
    assert Space.load("quickstart").data == "sample"


def test_swin_heads_accumulates_where_photos_do_not_fit_at_once():
    space = Space.load("swin_heads")
    large = space.first(backbone="swin_large_patch4_window7_224", effective_batch=16)
    small = space.first(backbone="swin_tiny_patch4_window7_224", effective_batch=16)
    assert (large["batch_size"], large["accumulate"]) == (4, 4)
    assert (small["batch_size"], small["accumulate"]) == (8, 2)
    assert "effective_batch" not in large


def test_cnn_heads_has_rates_of_its_own_for_each_optimizer():
    space = Space.load("cnn_heads")
    assert space.first(optimizer="sgd")["lr"] == pytest.approx((1e-3 * 5e-2) ** 0.5)
    assert space.first(optimizer="adamw")["lr"] == pytest.approx((1e-4 * 2e-3) ** 0.5)
