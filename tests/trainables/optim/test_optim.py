"""Optimizers and schedules: their groups of parameters, and their rates step by step."""

import math

import pytest
import timm
import torch
from torch import nn

from trainables.errors import UserError
from trainables.models import build_model
from trainables.optim import OPTIMIZERS, SCHEDULE_NAMES, SCHEDULES, build_optimizer, build_schedule
from trainables.optim.schedules import cosine_restarts

torch.set_num_threads(1)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.backbone.register_parameter("pos_embed", nn.Parameter(torch.zeros(1, 4, 1, 1)))
        self.head = nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 1).requires_grad_(False))


def groups_of(optimizer):
    return {group["name"]: group for group in optimizer.param_groups}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_groups_have_their_own_rate_and_decay(name):
    model = Tiny()
    optimizer = build_optimizer(model, name, lr=0.1, head_lr=0.5, weight_decay=0.01)
    assert type(optimizer) is OPTIMIZERS[name]
    settings = {key: (group["lr"], group["weight_decay"]) for key, group in groups_of(optimizer).items()}
    assert settings == {
        "backbone/decay": (0.1, 0.01),
        "backbone/no_decay": (0.1, 0.0),
        "head/decay": (0.5, 0.01),
        "head/no_decay": (0.5, 0.0),
    }
    conv, norm = model.backbone
    ids = {key: {id(parameter) for parameter in group["params"]} for key, group in groups_of(optimizer).items()}
    assert ids["backbone/decay"] == {id(conv.weight)}
    no_decay = [conv.bias, norm.weight, norm.bias, model.backbone.pos_embed]
    assert ids["backbone/no_decay"] == {id(parameter) for parameter in no_decay}
    assert ids["head/decay"] == {id(model.head[0].weight)}
    assert ids["head/no_decay"] == {id(model.head[0].bias)}


def test_head_learns_at_the_common_rate_unless_told_otherwise():
    groups = groups_of(build_optimizer(Tiny(), "adamw", lr=0.1))
    assert {group["lr"] for group in groups.values()} == {0.1}


def test_momentum_is_sgds():
    assert build_optimizer(Tiny(), "sgd", lr=0.1, momentum=0.7).param_groups[0]["momentum"] == 0.7
    assert build_optimizer(Tiny(), "adam", lr=0.1, momentum=0.7).param_groups[0]["betas"] == (0.9, 0.999)


def test_swin_position_tables_and_norms_do_not_decay_and_no_parameter_is_lost():
    model = build_model(head="fpn", backbone="swin_tiny_patch4_window7_224", num_classes=2, pretrained=False)
    groups = groups_of(build_optimizer(model, "adamw", lr=0.1, weight_decay=0.01))
    decaying = {id(parameter) for key in ("backbone/decay", "head/decay") for parameter in groups[key]["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) not in decaying}
    tables = [name for name, _ in model.named_parameters() if "relative_position_bias_table" in name]
    assert len(tables) == 12
    assert names.issuperset(tables)
    norms = {name for name, _ in model.named_parameters() if ".norm" in name or name.endswith("bias")}
    assert names.issuperset(norms)
    assert not any(name.endswith(("qkv.weight", "classifier.weight")) for name in names)
    assert sum(len(group["params"]) for group in groups.values()) == len(list(model.parameters()))


class Body(nn.Module):
    """A timm feature extractor as a model's backbone, with a head, on no device: names and shapes are all it takes."""

    def __init__(self, name, **options):
        super().__init__()
        with torch.device("meta"):
            self.backbone = nn.ModuleDict({"model": timm.create_model(name, features_only=True, **options)})
            self.head = nn.Conv2d(8, 2, 1)


def scales_of(model, decay):
    """{parameter's name: its learning rate} where the common one is 1."""
    optimizer = build_optimizer(model, "sgd", lr=1.0, layer_decay=decay)
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    return {
        name.removeprefix("backbone.").removeprefix("model."): rates[id(parameter)]
        for name, parameter in model.named_parameters()
    }


@pytest.mark.parametrize(
    ("backbone", "decay", "exponents"),
    [
        # ConvNeXt: by stage, and the power starts from 12 layers, of the tiny one from 6.
        (
            "convnext_base",
            0.9,
            {
                "stem_0.weight": 13,
                "stem_1.bias": 13,
                "stages_1.downsample.1.weight": 13,
                "stages_3.downsample.0.bias": 13,
                "stages_0.blocks.0.conv_dw.weight": 12,
                "stages_2.blocks.26.mlp.fc2.weight": 10,
                "stages_3.blocks.2.gamma": 9,
                "head.weight": 0,
            },
        ),
        ("convnext_tiny", 0.9, {"stem_0.weight": 7, "stages_0.blocks.2.norm.bias": 6, "stages_3.blocks.0.gamma": 3}),
        # BEiT and ViT: by block.
        (
            "beit_base_patch16_224",
            0.9,
            {
                "model.cls_token": 13,
                "model.patch_embed.proj.weight": 13,
                "model.blocks.0.attn.relative_position_bias_table": 12,
                "model.blocks.0.gamma_1": 12,
                "model.blocks.11.mlp.fc2.bias": 1,
                "head.bias": 0,
            },
        ),
        ("beit_large_patch16_224", 0.95, {"model.cls_token": 25, "model.blocks.0.norm1.bias": 24}),
        ("vit_small_patch14_reg4_dinov2", 0.8, {"model.pos_embed": 13, "model.reg_token": 13}),
        ("sam2_hiera_tiny", 0.9, {"model.pos_embed_window": 13, "model.blocks.0.norm1.weight": 12}),
        # A stem of convolutions below a plain transformer is its embedding.
        (
            "vit_small_r26_s32_224",
            0.9,
            {
                "model.patch_embed.backbone.stages.0.blocks.0.conv1.weight": 13,
                "model.blocks.0.norm1.weight": 12,
                "model.blocks.11.norm1.weight": 1,
            },
        ),
        # Swin: by block through all stages; merging goes with the block before it.
        (
            "swin_tiny_patch4_window7_224",
            0.9,
            {
                "patch_embed.proj.weight": 13,
                "layers_0.blocks.0.norm1.weight": 12,
                "layers_1.downsample.reduction.weight": 11,
                "layers_1.blocks.0.norm1.weight": 10,
                "layers_3.blocks.1.mlp.fc2.weight": 1,
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_layers_learn_at_powers_of_the_decay(backbone, decay, exponents):
    rates = scales_of(Body(backbone), decay)
    assert {name: rates[name] for name in exponents} == {
        name: pytest.approx(decay**exponent) for name, exponent in exponents.items()
    }


def test_mix_transformers_layers_count_through_the_stages():
    rates = scales_of(build_model(head="fpn", backbone="mit_b0", num_classes=2, pretrained=False), 0.5)
    exponents = {"patch_embed1.proj.weight": 9, "block1.0.norm1.bias": 8, "patch_embed2.proj.bias": 7}
    exponents |= {"block2.0.mlp.fc1.weight": 6, "block4.1.attn.q.bias": 1, "norm4.weight": 0}
    assert {name: rates[name] for name in exponents} == {name: 0.5**power for name, power in exponents.items()}


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18", "regnety_002", "resnetv2_50", "pvt_v2_b0"])
def test_cnns_have_no_layer_decay(backbone):
    with pytest.raises(UserError, match=r"no known order \(ViT, BEiT, Swin, ConvNeXt and MiT have one\): set it to 1"):
        scales_of(Body(backbone), 0.9)


@pytest.mark.parametrize(
    ("backbone", "table"), [("tiny_vit_5m_224", "attention_biases"), ("xcit_nano_12_p16_224", "temperature")]
)
def test_tables_and_temperatures_of_other_families_do_not_decay(backbone, table):
    model = Body(backbone)
    optimizer = build_optimizer(model, "adamw", lr=1.0, weight_decay=0.05)
    decaying = {id(weight) for group in optimizer.param_groups if group["weight_decay"] for weight in group["params"]}
    found = [id(parameter) in decaying for name, parameter in model.named_parameters() if table in name]
    assert found
    assert not any(found)


def test_tokens_and_tables_do_not_decay_in_any_layer():
    model = Body("vit_small_patch14_reg4_dinov2")
    optimizer = build_optimizer(model, "adamw", lr=1.0, weight_decay=0.05, layer_decay=0.9)
    decaying = {
        id(parameter) for group in optimizer.param_groups if group["weight_decay"] for parameter in group["params"]
    }
    names = {name for name, parameter in model.named_parameters() if id(parameter) not in decaying}
    assert {f"backbone.model.model.{name}" for name in ("pos_embed", "cls_token", "reg_token")} <= names
    assert {name for name, parameter in model.named_parameters() if parameter.ndim == 1} <= names
    assert not any(name.endswith(("qkv.weight", "fc1.weight")) for name in names)


def test_position_mixing_of_lawin_does_not_decay():
    model = build_model(head="lawin", backbone="resnet50", num_classes=2, pretrained=False)
    optimizer = build_optimizer(model, "adamw", lr=1.0, weight_decay=0.05)
    still = {id(weight) for group in optimizer.param_groups if not group["weight_decay"] for weight in group["params"]}
    mixing = [weight for name, weight in model.named_parameters() if "mix_positions.weight" in name]
    assert len(mixing) == 3
    assert all(id(weight) in still for weight in mixing)


def rates_of(name, *, total_steps, warmup_steps=0, steps=None, **options):
    """Learning rates used at steps 0, 1, ... of the first group, whose own rate is 1; the second's stays twice that."""
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [first], "lr": 1.0}, {"params": [second], "lr": 2.0}])
    schedule = build_schedule(optimizer, name, total_steps=total_steps, warmup_steps=warmup_steps, **options)
    rates = []
    for _ in range(steps or total_steps):
        rate, double = (group["lr"] for group in optimizer.param_groups)
        assert double == pytest.approx(2 * rate)
        rates.append(rate)
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("poly", {}, {0: 1, 5: 0.5**0.9, 9: 0.1**0.9, 10: 0, 12: 0}),
        ("poly", {"power": 1.0}, {0: 1, 3: 0.7, 9: 0.1}),
        ("linear", {}, {0: 1, 3: 0.7, 9: 0.1, 10: 0}),
        ("step", {}, {0: 1, 7: 1, 8: 0.1, 9: 0.01, 12: 0.01}),
        ("step", {"milestones": (0.5,), "gamma": 0.5}, {4: 1, 5: 0.5, 9: 0.5}),
        ("cosine", {}, {0: 1, 5: 0.5, 9: (1 + math.cos(0.9 * math.pi)) / 2, 10: 0, 12: 0}),
        ("cosine_restarts", {"cycles": 2, "growth": 1}, {0: 1, 4: (1 + math.cos(0.8 * math.pi)) / 2, 5: 1, 10: 0}),
    ],
)
def test_rates_at_given_steps(name, options, expected):
    rates = rates_of(name, total_steps=10, steps=13, **options)
    assert {step: rates[step] for step in expected} == {step: pytest.approx(rate) for step, rate in expected.items()}


def test_restarted_cycles_double_in_length():
    # Three cycles of 1, 2 and 4 sevenths.
    rates = rates_of("cosine_restarts", total_steps=70)
    assert [step for step, rate in enumerate(rates) if rate == pytest.approx(1)] == [0, 10, 30]
    assert [rates[step] for step in (5, 20, 50)] == pytest.approx([0.5, 0.5, 0.5])
    assert cosine_restarts(1.0) == pytest.approx(0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_is_linear_and_the_curve_runs_over_the_rest(name):
    rates = rates_of(name, total_steps=24, warmup_steps=4)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[4:] == pytest.approx(rates_of(name, total_steps=20))


@pytest.mark.parametrize("warmup_steps", [0, 3])
def test_one_cycle_is_pytorchs(warmup_steps):
    optimizer = build_optimizer(Tiny(), "adamw", lr=0.1, head_lr=0.3)
    schedule = build_schedule(optimizer, "one_cycle", total_steps=10, warmup_steps=warmup_steps)
    rates, momenta = [], []
    for _ in range(10):
        rates.append({group["name"].split("/")[0]: group["lr"] for group in optimizer.param_groups})
        momenta.append(optimizer.param_groups[0]["betas"][0])
        optimizer.step()
        schedule.step()
    backbone = [rate["backbone"] for rate in rates]
    assert backbone == pytest.approx([rate["head"] / 3 for rate in rates])
    assert backbone[0] == pytest.approx(0.1 / 25)
    assert backbone[1] == pytest.approx(0.1 * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi / 2)) / 2))
    assert backbone[2] == max(backbone) == pytest.approx(0.1)  # three tenths of ten steps, counted from 0
    assert backbone[-1] == pytest.approx(0.1 / 25 / 1e4)
    assert (momenta[0], momenta[2], momenta[-1]) == pytest.approx((0.95, 0.85, 0.95))


@pytest.mark.parametrize("name", SCHEDULE_NAMES)
def test_resumed_schedule_goes_on_where_it_stopped(name):
    def fresh():
        optimizer = build_optimizer(Tiny(), "sgd", lr=0.1, head_lr=0.3)
        return optimizer, build_schedule(optimizer, name, total_steps=20, warmup_steps=3)

    def run(optimizer, schedule, steps):
        rates = []
        for _ in range(steps):
            rates.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            schedule.step()
        return rates

    unbroken = run(*fresh(), steps=20)
    optimizer, schedule = fresh()
    run(optimizer, schedule, steps=7)
    saved = optimizer.state_dict(), schedule.state_dict()
    optimizer, schedule = fresh()
    optimizer.load_state_dict(saved[0])
    schedule.load_state_dict(saved[1])
    assert run(optimizer, schedule, steps=13) == unbroken[7:]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("adamw2", {}, r"unknown optimizer 'adamw2': choose one of adamw, adam, sgd"),
        ("adamw", {"lr": 0.0}, r"lr is 0\.0, but must be above 0"),
        ("adamw", {"head_lr": math.nan}, r"head_lr is nan, but must be above 0"),
        ("adamw", {"weight_decay": -1.0}, r"weight_decay is -1\.0, but must be at least 0"),
        ("adamw", {"layer_decay": 0.0}, r"layer_decay is 0\.0, but must be above 0 and at most 1"),
        ("adamw", {"layer_decay": 0.9}, r"layer_decay is 0\.9, but this backbone's layers have no known order"),
        ("sgd", {"momentum": 1.0}, r"momentum is 1\.0, but must be at least 0 and below 1"),
    ],
)
def test_wrong_optimizer_arguments_are_named(name, arguments, message):
    with pytest.raises(UserError, match=message):
        build_optimizer(Tiny(), name, **{"lr": 0.1} | arguments)


@pytest.mark.parametrize(
    ("name", "warmup_steps", "message"),
    [
        ("lineal", 0, r"unknown schedule 'lineal': choose one of poly, linear, step, cosine, cosine_restarts"),
        ("poly", 10, r"warmup_steps is 10, but must be at least 0 and below total_steps \(10\)"),
        ("poly", -1, r"warmup_steps is -1"),
    ],
)
def test_wrong_schedule_arguments_are_named(name, warmup_steps, message):
    optimizer = build_optimizer(Tiny(), "sgd", lr=0.1)
    with pytest.raises(UserError, match=message):
        build_schedule(optimizer, name, total_steps=10, warmup_steps=warmup_steps)


@pytest.mark.parametrize("name", SCHEDULE_NAMES)
def test_every_length_of_warm_up_and_of_run_makes_a_schedule(name):
    for total_steps in range(1, 30):
        for warmup_steps in range(total_steps):
            optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
            schedule = build_schedule(optimizer, name, total_steps=total_steps, warmup_steps=warmup_steps)
            rates = []
            for _ in range(total_steps):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                schedule.step()
            assert all(0 <= rate <= 0.1 + 1e-9 for rate in rates), (total_steps, warmup_steps, rates)


def test_one_step_of_warm_up_is_one_step_below_the_rate():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = build_schedule(optimizer, "one_cycle", total_steps=100, warmup_steps=1)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates[1] == pytest.approx(0.1, rel=1e-2)
    assert rates[1:] == sorted(rates[1:], reverse=True)
