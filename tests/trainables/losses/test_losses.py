"""Losses: by hand, against PyTorch, and the same in one pass as in several."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch

from trainables.errors import UserError
from trainables.losses import LOSSES, build_loss, class_weights_from

torch.set_num_threads(1)

# Two classes, three pixels in a row, probabilities of class 1: 1/2, 3/4, 1/4.
LOGITS = torch.tensor([[[[0.0, 0.0, math.log(3.0)]], [[0.0, math.log(3.0), 0.0]]]])
TARGET = torch.tensor([[[0, 1, 1]]])  # p_t: 1/2, 3/4, 1/4


def random_case(seed=0, classes=4, size=(3, 7, 5)):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size[0], classes, *size[1:], generator=generator)
    return logits, torch.randint(classes, size, generator=generator)


CE = -(math.log(1 / 2) + math.log(3 / 4) + math.log(1 / 4)) / 3
FOCAL = -(1 / 4 * math.log(1 / 2) + 1 / 16 * math.log(3 / 4) + 9 / 16 * math.log(1 / 4)) / 3
# Class 0: overlap 1/2, p sums to 3/2, one pixel. Class 1: overlap 1, p sums to 3/2, two pixels.
DICE = 1 - (2 * 0.5 / 2.5 + 2 * 1.0 / 3.5) / 2
# The errors from the largest are 3/4, 1/2, 1/4, of the third, first and second pixel. The Jaccard distance of class 0
# grows to 1/2, 1, 1 and that of class 1 to 1/2, 2/3, 1.
LOVASZ_0, LOVASZ_1 = 3 / 4 * 1 / 2 + 1 / 2 * 1 / 2, 3 / 4 * 1 / 2 + 1 / 2 * 1 / 6 + 1 / 4 * 1 / 3
LOVASZ = (LOVASZ_0 + LOVASZ_1) / 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ce", CE),
        ("focal", FOCAL),
        ("dice", DICE),
        ("ce_dice_1_3", 0.25 * CE + 0.75 * DICE),
        ("ce_dice_3_1", 0.75 * CE + 0.25 * DICE),
        ("ce_focal_dice", (CE + FOCAL + DICE) / 3),
        ("lovasz", LOVASZ),
        ("ce_lovasz", (CE + LOVASZ) / 2),
    ],
)
def test_value_counted_by_hand(name, expected):
    assert build_loss(name, num_classes=2)(LOGITS, TARGET).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ce", -(1 * math.log(1 / 2) + 3 * math.log(3 / 4) + 3 * math.log(1 / 4)) / 7),
        ("focal", -(1 / 4 * math.log(1 / 2) + 3 / 16 * math.log(3 / 4) + 27 / 16 * math.log(1 / 4)) / 7),
        ("dice", (1 * (1 - 2 * 0.5 / 2.5) + 3 * (1 - 2 * 1.0 / 3.5)) / 4),
        ("lovasz", (LOVASZ_0 + 3 * LOVASZ_1) / 4),
    ],
)
def test_weighted_value_counted_by_hand(name, expected):
    loss = build_loss(name, num_classes=2, class_weights=torch.tensor([1.0, 3.0]))
    assert loss(LOGITS, TARGET).item() == pytest.approx(expected, rel=1e-5)


def test_shares_of_every_loss_sum_to_one():
    assert {name: pytest.approx(1) for name in LOSSES} == {name: sum(terms.values()) for name, terms in LOSSES.items()}


def test_ce_equals_pytorch_and_dice_equals_smp():
    logits, target = random_case()
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0])
    expected = torch.nn.functional.cross_entropy(logits, target, weight)
    assert build_loss("ce", num_classes=4, class_weights=weight)(logits, target) == pytest.approx(expected.item())
    of_photos = [smp.losses.DiceLoss("multiclass")(logits[[one]], target[[one]]).item() for one in range(3)]
    assert build_loss("dice", num_classes=4)(logits, target) == pytest.approx(sum(of_photos) / 3, rel=1e-5)


@pytest.mark.parametrize("ignored", [0, 11])
def test_lovasz_equals_smp(ignored):
    logits, target = random_case()
    target.view(3, -1)[:, :ignored] = 255
    reference = smp.losses.LovaszLoss("multiclass", per_image=True, ignore_index=255)
    of_photos = [reference(logits[[one]], target[[one]]).item() for one in range(3)]
    assert build_loss("lovasz", num_classes=4)(logits, target) == pytest.approx(sum(of_photos) / 3, rel=1e-5)


@pytest.mark.parametrize("name", ["dice", "lovasz"])
def test_a_photo_without_labelled_pixels_does_not_count(name):
    logits, target = random_case()
    target[1] = 255
    expected = build_loss(name, num_classes=4)(logits[[0, 2]], target[[0, 2]])
    assert build_loss(name, num_classes=4)(logits, target) == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, torch.tensor([0.2, 1.0, 3.0, 0.5])])
def test_parts_of_a_batch_sum_to_its_loss_and_gradient(name, weights):
    loss = build_loss(name, num_classes=4, class_weights=weights)
    logits, target = random_case(size=(4, 7, 5))
    target[0, 2:], target[1] = 255, 255
    logits.requires_grad_()
    whole = loss(logits, target)
    (gradient,) = torch.autograd.grad(whole, logits)
    counts = loss.counts(target)
    parts = sum(loss(logits[some], target[some], counts) for some in (slice(0, 1), slice(1, 2), slice(2, 4)))
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)
    assert torch.allclose(torch.autograd.grad(parts, logits)[0], gradient, atol=1e-7)


def test_dice_averages_over_the_classes_that_occur():
    logits, target = random_case()
    logits, target = logits[:1], target[:1] % 2
    per_class = 1 - smp.losses.DiceLoss("multiclass")(logits, target) * 4 / 2
    assert 1 - build_loss("dice", num_classes=4)(logits, target) == pytest.approx(per_class.item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 4.0])])
def test_ignored_pixels_do_not_count(name, weights):
    loss = build_loss(name, num_classes=4, class_weights=weights)
    logits, target = random_case()
    kept = loss(logits[..., :3], target[..., :3])
    target[..., 3:] = 255
    logits.requires_grad_()
    value = loss(logits, target.to(torch.uint8))
    value.backward()
    assert value.item() == pytest.approx(kept.item(), rel=1e-5)
    assert logits.grad[..., 3:].abs().max() == 0
    assert logits.grad[..., :3].abs().min() > 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 4.0])])
def test_batch_with_every_pixel_ignored_gives_zero_and_zero_gradient(name, weights):
    logits, target = random_case()
    logits.requires_grad_()
    value = build_loss(name, num_classes=4, class_weights=weights)(logits, torch.full_like(target, 255))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", LOSSES)
def test_another_ignore_index(name):
    logits, target = random_case()
    with_255 = build_loss(name, num_classes=4)(logits, torch.where(target == 1, 255, target))
    with_1 = build_loss(name, num_classes=4, ignore_index=1)(logits, target)
    assert with_1.item() == pytest.approx(with_255.item())


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_and_bfloat16_logits_are_summed_in_float32(name):
    logits, target = random_case(size=(2, 64, 64))
    loss = build_loss(name, num_classes=4)
    logits = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, target)
    assert value.dtype == torch.float32
    assert value.item() == loss(logits.float(), target).item()


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name):
    logits = torch.tensor([1e4, -1e4]).view(1, 2, 1, 1).expand(1, 2, 4, 4).clone().requires_grad_()
    target = torch.arange(16).view(1, 4, 4) % 2
    value = build_loss(name, num_classes=2)(logits, target)
    value.backward()
    assert math.isfinite(value.item())
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_following_the_gradient_lowers_the_loss(name):
    logits, target = random_case()
    loss = build_loss(name, num_classes=4)
    logits.requires_grad_()
    before = loss(logits, target)
    before.backward()
    assert loss(logits - 0.1 * logits.grad / logits.grad.norm(), target) < before


def test_class_weights_are_inverse_square_roots_with_mean_one():
    weights = class_weights_from(torch.tensor([1600, 400, 0, 100]))
    assert weights.dtype == torch.float32
    # Inverse roots 1/40, 1/20, 1/10 have the mean 7/120; the absent class weighs 1.
    assert weights.tolist() == pytest.approx([3 / 7, 6 / 7, 1.0, 12 / 7])
    assert weights.mean() == pytest.approx(1)


def test_class_weights_of_nothing_are_ones():
    assert class_weights_from(torch.zeros(3)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("cee", None, r"unknown loss 'cee': choose one of ce, focal, dice, "),
        ("ce", torch.ones(3), r"shape \(3,\), but must have \(2,\)"),
        ("dice", torch.tensor([1.0, 0.0]), "finite and above 0"),
        ("dice", torch.tensor([1.0, math.nan]), "finite and above 0"),
    ],
)
def test_wrong_arguments_are_named(name, weights, message):
    with pytest.raises(UserError, match=message):
        build_loss(name, num_classes=2, class_weights=weights)
