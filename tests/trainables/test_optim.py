import math

import pytest
import torch
from torch import nn

from trainables.errors import UserError
from trainables.models import build_model
from trainables.optim import OPTIMIZERS, SCHEDULES, build_optimizer, build_schedule, cosine_restarts

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


@pytest.mark.parametrize("name", SCHEDULES)
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
        ("sgd", {"momentum": 1.0}, r"momentum is 1\.0, but must be at least 0 and below 1"),
    ],
)
def test_wrong_optimizer_arguments_are_named(name, arguments, message):
    with pytest.raises(UserError, match=message):
        build_optimizer(Tiny(), name, **{"lr": 0.1} | arguments)


@pytest.mark.parametrize(
    ("name", "warmup_steps", "message"),
    [
        ("linear", 0, r"unknown schedule 'linear': choose one of poly, step, cosine, cosine_restarts"),
        ("poly", 10, r"warmup_steps is 10, but must be at least 0 and below total_steps \(10\)"),
        ("poly", -1, r"warmup_steps is -1"),
    ],
)
def test_wrong_schedule_arguments_are_named(name, warmup_steps, message):
    optimizer = build_optimizer(Tiny(), "sgd", lr=0.1)
    with pytest.raises(UserError, match=message):
        build_schedule(optimizer, name, total_steps=10, warmup_steps=warmup_steps)
