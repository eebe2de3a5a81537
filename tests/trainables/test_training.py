"""Trainer: what an epoch does to the weights, and what its record says."""

import copy
import math

import numpy as np
import pytest
import torch

from tests import tiny
from trainables.errors import UserError
from trainables.inference.evaluate import evaluate
from trainables.inference.metrics import iou_per_class, miou
from trainables.training import NonFiniteError, Trainer

pytestmark = pytest.mark.usefixtures("one_thread")


class Recorded(torch.nn.Module):
    """Stands in front of a model and notes the images of every forward pass in training."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.seen = []

    def normalize(self, images):
        return self.model.normalize(images)

    def training_logits(self, images):
        self.seen.append(images.clone())
        return self.model.training_logits(images)

    def forward(self, images):
        return self.model(images)


class Once:
    """The first batch of some batches alone."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return 1

    def epoch(self, number):
        return [next(iter(self.batches.epoch(number)))]

    def begin(self, number):
        self.batches.begin(number)


class Cramped(torch.nn.Module):
    """A loss on a device whose memory holds the graph of `largest` images."""

    def __init__(self, loss, largest):
        super().__init__()
        self.loss, self.largest = loss, largest
        self.sizes = []

    def forward(self, logits, target, counts):
        self.sizes.append(len(logits))
        if len(logits) > self.largest:
            raise torch.OutOfMemoryError("out of memory")
        return self.loss(logits, target, counts)

    def counts(self, target):
        return self.loss.counts(target)


def trainer(study, **changes):
    return Trainer(tiny.config(**changes), study)


def train(study, epochs=2, **changes):
    made = trainer(study, epochs=epochs, **changes)
    return tiny.timeless([made.run_epoch() for _ in range(epochs)])


@pytest.fixture(scope="module")
def two_epochs(study, one_thread):
    return train(study)


def test_a_record_says_what_was_trained_and_scored(two_epochs):
    first, second = two_epochs
    classes = {f"holdout/iou/{name}" for name in ("Background", "Paper", "Glass")}
    assert set(first) == {"epoch", "train/loss", "lr", "holdout/miou", "holdout/accuracy"} | classes
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert second["holdout/miou"] == pytest.approx(np.mean([second[name] for name in classes]))


def test_the_rate_of_the_first_step_of_the_epoch_is_recorded(two_epochs):
    first, second = two_epochs
    assert first["lr"] == pytest.approx(3e-3)
    assert second["lr"] == pytest.approx(3e-3 * 0.5**0.9)  # poly, half of the way


def test_the_loss_falls_and_the_score_rises_when_trained_on_few_photos(study):
    records = train(study, epochs=12, lr=1e-2)
    assert records[-1]["train/loss"] < 0.3 * records[0]["train/loss"]
    assert records[-1]["holdout/miou"] > 0.6


def test_the_same_seed_gives_the_same_records(study, two_epochs):
    assert train(study) == two_epochs
    assert train(study, seed=1) != two_epochs


def test_the_left_out_fold_is_scored_and_not_trained_on(study):
    made = trainer(study, fold=1)
    made.model = Recorded(made.model)
    record = made.run_epoch()
    assert sum(len(images) for images in made.model.seen) == 4  # of six, two are in fold 1
    of_fold = evaluate(made.model, made.packed, (4, 5), num_classes=3, batch_size=2, precision=made.precision)
    assert record["fold/miou"] == pytest.approx(miou(of_fold))


def test_accumulated_passes_see_the_photos_of_the_large_batch(study):
    one, several = trainer(study, batch_size=4), trainer(study, batch_size=2, accumulate=2)
    for made in (one, several):
        made.model = Recorded(made.model)
        made.run_epoch()
    assert [len(images) for images in one.model.seen] == [4]
    assert [len(images) for images in several.model.seen] == [2, 2]
    assert torch.equal(torch.cat(several.model.seen), one.model.seen[0])


def test_an_epoch_is_what_the_loop_of_a_user_makes_of_the_same_batches(study):
    made = trainer(study, head="unet", optimizer="adamw", schedule="one_cycle", dropout=0.0, weight_decay=0.0)
    model, steps = copy.deepcopy(made.model), len(made.batches)
    optimizer = torch.optim.AdamW(model.parameters(), made.config.lr, weight_decay=0.0)
    total_steps = steps * made.config.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, made.config.lr, total_steps=total_steps)
    mean, std = 255 * model.mean, 255 * model.std
    for images, masks in made.batches.epoch(0):
        logits = model((images - mean) / std)
        torch.nn.functional.cross_entropy(logits, masks.long(), ignore_index=255).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    made.run_epoch()
    assert steps > 1
    for (name, ours), theirs in zip(made.model.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_the_loss_is_the_weighted_sum_over_the_outputs_of_the_head(study):
    made = trainer(study, head="fcn", dropout=0.0)
    made.model.eval()
    images, masks = next(made.batches.epoch(0))
    (_, logits), (_, auxiliary) = made.model.training_logits(made.model.normalize(images))
    expected = made.loss(logits, masks) + 0.4 * made.loss(auxiliary, masks)
    assert torch.allclose(made._accumulate(images, masks, None, len(images)), expected.detach(), atol=1e-5)
    assert made.model.head.auxiliary.classifier.weight.grad.any()


@pytest.mark.parametrize("loss_name", ["ce", "ce_focal_dice"])
def test_accumulated_gradients_are_those_of_the_large_batch(study, loss_name):
    """Where no layer looks at the batch, and whatever each photo has of labels: norms are in evaluation mode."""
    gradients = []
    images, masks = next(trainer(study, batch_size=4).batches.epoch(0))
    masks[0, 2:], masks[1] = 255, 255  # one photo is hardly labelled, one not at all
    for micro_batch in (4, 3, 2, 1):
        made = trainer(study, dropout=0.0, loss=loss_name, class_weights="inverse_sqrt")
        made.model.eval()
        loss = made._accumulate(images, masks, None, micro_batch)
        gradients.append((loss, [parameter.grad for parameter in made.model.parameters()]))
    for loss, others in gradients[1:]:
        assert torch.allclose(loss, gradients[0][0], atol=1e-5)
        for gradient, expected in zip(others, gradients[0][1], strict=True):
            assert torch.allclose(gradient, expected, atol=1e-4, rtol=1e-3)


def test_steps_of_the_schedule_are_those_of_the_optimizer(study):
    made = trainer(study, batch_size=1, accumulate=3, epochs=2, warmup_epochs=1.0, schedule="cosine")
    made.run_epoch()
    assert made.schedule.last_epoch == 2  # six photos, three a step
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(3e-3)  # the warm-up of two steps is over


def test_averaged_weights_are_what_is_scored(study):
    made = trainer(study, ema_decay=0.5)
    start = {name: value.clone() for name, value in made.model.state_dict().items()}
    keep = np.zeros(2 * tiny.WIDTH * tiny.HEIGHT, np.uint8)
    record = made.run_epoch(keep=keep)
    averaged = made.evaluated_model.state_dict()
    changed = [name for name, value in made.model.state_dict().items() if not torch.equal(value, start[name])]
    assert any(not torch.equal(averaged[name], made.model.state_dict()[name]) for name in changed)
    again = np.zeros_like(keep)
    rescored = evaluate(
        made.ema.module, made.packed, (0, 1), num_classes=3, batch_size=2, precision=made.precision, keep=again
    )
    assert record["holdout/miou"] == miou(rescored)
    assert np.array_equal(keep, again)


def test_an_average_follows_its_decay(study):
    made = trainer(study, ema_decay=0.2, batch_size=6)
    name, weight = next(iter(made.model.named_parameters()))
    before = weight.detach().clone()
    made.run_epoch()  # one step; the average starts as the weights after it
    first = dict(made.ema.module.named_parameters())[name].clone()
    assert torch.equal(first, dict(made.model.named_parameters())[name])
    assert not torch.equal(first, before)
    made.run_epoch()
    after = dict(made.model.named_parameters())[name]
    assert torch.allclose(dict(made.ema.module.named_parameters())[name], 0.2 * first + 0.8 * after, atol=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "largest", "sizes", "left"),
    [
        (6, 6, [6], 6),
        (6, 3, [6, 3, 3], 3),
        (6, 2, [6, 3, 2, 2, 2], 2),
        (5, 1, [5, 3, 2, 1, 1, 1, 1, 1], 1),
    ],
)
def test_out_of_memory_halves_the_passes_and_goes_on(study, batch_size, largest, sizes, left):
    made = trainer(study, batch_size=batch_size, head="fpn")
    made.loss = Cramped(made.loss, largest)
    record = made.run_epoch()
    assert made.loss.sizes == sizes
    assert made.micro_batch == left
    assert math.isfinite(record["train/loss"])
    assert made.schedule.last_epoch == 1  # one step all the same
    made.loss.sizes.clear()
    made.run_epoch()
    assert made.loss.sizes[0] == left  # and it is not tried in vain again


def test_a_step_that_ran_out_of_memory_leaves_no_gradient_behind(study):
    class SecondPassFails(Cramped):
        def forward(self, logits, target, counts):
            self.sizes.append(len(logits))
            if self.sizes == [2, 2]:
                raise torch.OutOfMemoryError("out of memory")
            return self.loss(logits, target, counts)

    images, masks = next(trainer(study, batch_size=4).batches.epoch(0))
    weights = []
    for broken in (False, True):
        made = trainer(study, batch_size=1 if not broken else 2, accumulate=4 if not broken else 2, dropout=0.0)
        made.model.eval()
        if broken:
            made.loss = SecondPassFails(made.loss, 2)
        made._step(images, masks)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in made.model.parameters()]))
    assert torch.allclose(*weights, atol=1e-5)


def test_a_single_photo_that_does_not_fit_ends_the_trial(study):
    made = trainer(study, batch_size=2)
    made.loss = Cramped(made.loss, 0)
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        made.run_epoch()


def test_a_loss_that_is_no_number_ends_the_trial_and_says_when(study):
    made = trainer(study)
    made.loss.forward = lambda logits, target, counts: logits.sum() * float("nan")
    with pytest.raises(NonFiniteError, match=r"became nan at epoch 1, by step 3: a lower lr than 0.003"):
        made.run_epoch()


def test_diverging_training_is_noticed(study):
    with pytest.raises(NonFiniteError, match=r"the training loss became (nan|inf)"):
        train(study, epochs=3, lr=1e30, optimizer="sgd")


def test_weights_that_the_last_step_made_infinite_are_not_scored(study):
    made = trainer(study)
    step = made.optimizer.step

    def overflowing(*arguments, **options):
        step(*arguments, **options)
        made.model.head.classifier.bias.data.fill_(math.inf)

    made.optimizer.step = overflowing
    made.batches = Once(made.batches)
    with pytest.raises(NonFiniteError, match="the norm of the weights became inf at epoch 1, by step 1"):
        made.run_epoch()


def test_running_out_of_memory_in_the_optimizer_halves_the_passes(study):
    made = trainer(study)
    step, failures = made.optimizer.step, iter([True])

    def cramped(*arguments, **options):
        if next(failures, False):
            raise torch.OutOfMemoryError("out of memory")
        return step(*arguments, **options)

    made.optimizer.step = cramped
    assert made.run_epoch()["epoch"] == 1
    assert made.micro_batch == 1


def test_rare_classes_weigh_more(study):
    made = trainer(study, class_weights="inverse_sqrt")
    counts = made._pixel_counts()
    assert counts.sum() == 6 * 32 * 48
    assert counts.tolist() == [int((made.packed.masks[2:] == one).sum()) for one in range(3)]
    expected = 1 / np.sqrt(counts)
    assert np.allclose(made.loss.class_weights.numpy(), expected / expected.mean(), atol=1e-5)


def test_clipped_gradients_have_the_norm_asked_for(study):
    made = trainer(study, grad_clip=1e-3, optimizer="sgd", momentum=0.0, weight_decay=0.0, lr=1.0)
    before = torch.cat([parameter.detach().flatten() for parameter in made.model.parameters()])
    images, masks = next(made.batches.epoch(0))
    made._step(images, masks)
    after = torch.cat([parameter.detach().flatten() for parameter in made.model.parameters()])
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=0.01)


def test_a_loaded_state_goes_on_as_if_nothing_had_happened(study):
    how = {"ema_decay": 0.9, "schedule": "cosine", "augmentation": "light", "dropout": 0.3, "drop_path": 0.2}
    unbroken = trainer(study, **how)
    unbroken.run_epoch()
    resumed = trainer(study, **how)
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    assert tiny.timeless([resumed.run_epoch()]) == tiny.timeless([unbroken.run_epoch()])


def test_classes_that_occur_nowhere_have_no_score(study):
    made = trainer(study)
    made._confusion = lambda rows, keep: torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    scores = made._scores(None)
    assert scores == {
        "holdout/miou": pytest.approx((3 / 4 + 4 / 5) / 2),
        "holdout/accuracy": pytest.approx(7 / 8),
        "holdout/iou/Background": pytest.approx(3 / 4),
        "holdout/iou/Paper": pytest.approx(4 / 5),
    }


def test_iou_is_recorded_per_class(study):
    made = trainer(study)
    record = made.run_epoch()
    confusion = evaluate(made.model, made.packed, (0, 1), num_classes=3, batch_size=1, precision=made.precision)
    ious = [record[f"holdout/iou/{name}"] for name in study.class_names]
    assert ious == pytest.approx(iou_per_class(confusion).tolist())


def test_a_pass_that_batch_normalisation_cannot_train_on_is_said_with_what_to_do(study):
    one_pixel = trainer(study, image_size="16", batch_size=1)
    with pytest.raises(UserError, match=r"one image of 16 pixels, .*: give a batch_size of 2 or more, or a larg"):
        one_pixel.run_epoch()
