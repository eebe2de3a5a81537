"""Training with pseudo-labels: who is in a batch, and how much each photo counts."""

import copy
import dataclasses
import shutil

import numpy as np
import pytest
import torch

from tests import tiny
from trainables.data import load_dataset, load_pseudo, write_pseudo
from trainables.data.batches.training_batches import TrainingBatches
from trainables.errors import UserError
from trainables.losses import build_loss
from trainables.losses.batch_loss import BatchLoss
from trainables.study_data import PseudoData
from trainables.training import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE = (32, 48)


@pytest.fixture(scope="module")
def mixed(study, tmp_path_factory):
    """The tiny study with four more photos, whose pseudo-labels are its own masks, a quarter of them doubtful."""
    directory = tmp_path_factory.mktemp("pseudo")
    photos = load_dataset(tiny.write_data(directory / "photos"))
    packed = study.open(SIZE)
    doubt = np.full((tiny.HEIGHT, tiny.WIDTH), 2, np.uint8)
    doubt[: tiny.HEIGHT // 4] = 1
    items = [(photos.images[row].path, f"{row}.png", packed.full_mask(row), doubt) for row in range(4)]
    write_pseudo(directory / "P", study.class_names, items, agree=2)
    found = load_pseudo(directory / "P", study.class_names, unlabelled="background")
    pseudo = PseudoData(directory / "P", found.fingerprint, (0, 1, 2, 3), 0.5)
    return dataclasses.replace(study, pseudo=pseudo)


def test_one_permutation_mixes_both_kinds(mixed):
    batches = Trainer(tiny.config(batch_size=3), mixed).batches
    assert len(batches) == 3  # of six labelled photos and four others
    marks = [pseudo.tolist() for _, _, pseudo in batches.epoch(0)]
    assert [len(some) for some in marks] == [3, 3, 3]
    assert any(len(set(some)) == 2 for some in marks)
    assert [pseudo.tolist() for _, _, pseudo in batches.epoch(1)] != marks
    assert [pseudo.tolist() for _, _, pseudo in Trainer(tiny.config(batch_size=3), mixed).batches.epoch(0)] == marks


def test_marked_photos_are_those_with_pseudo_labels(mixed):
    labelled, (others, rows) = mixed.open(SIZE), mixed.open_pseudo(SIZE)
    how = {"batch_size": 10, "augmentation": "none", "size": SIZE, "seed": 0, "workers": 0, "pin_memory": False}
    ((images, masks, pseudo),) = TrainingBatches(labelled, range(2, 8), pseudo=(others, rows), **how).epoch(0)
    assert int(pseudo.sum()) == 4
    for image, mask, marked in zip(images, masks, pseudo):
        packed = others if marked else labelled
        (row,) = [row for row in range(len(packed)) if np.array_equal(packed.images[row], image.permute(1, 2, 0))]
        assert np.array_equal(packed.masks[row], mask)
        assert (255 in mask) == bool(marked)


def test_the_photos_of_an_epoch_are_counted(study, mixed):
    assert [one.photos_per_epoch("all") for one in (study, mixed)] == [6, 10]
    assert mixed.photos_per_epoch(0) == 8


@pytest.mark.parametrize("micro_batch", [6, 4, 1])
def test_the_loss_weighs_the_parts_as_the_formula_says(mixed, micro_batch):
    """The passes add up to (n L + w m P) / (n + w m), also where photos are labelled in part."""
    made = Trainer(tiny.config(batch_size=6, dropout=0.0), mixed)
    made.model.eval()
    images, masks, _ = next(made.batches.epoch(0))
    masks[0, 3:], masks[1] = 255, 255
    pseudo = torch.tensor([True, False, False, True, False, False])
    loss = made._accumulate(images, masks, pseudo, micro_batch)
    gradient = made.model.head.classifier.weight.grad.clone()
    made.optimizer.zero_grad()
    ((_, logits),) = made.model.training_logits(made._input(images))
    expected = (4 * made.loss(logits[~pseudo], masks[~pseudo]) + 0.5 * 2 * made.loss(logits[pseudo], masks[pseudo])) / 5
    expected.backward()
    assert torch.allclose(loss, expected.detach(), atol=1e-5)
    assert torch.allclose(gradient, made.model.head.classifier.weight.grad, atol=1e-5)


@pytest.mark.parametrize("marked", [[], [2], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("passes", [1, 2, 5])
def test_passes_of_one_kind_of_photo_or_of_both_sum_to_the_batch(marked, passes):
    generator = torch.Generator().manual_seed(0)
    logits, masks = torch.randn(5, 3, 4, 4, generator=generator), torch.randint(3, (5, 4, 4), generator=generator)
    pseudo = torch.zeros(5, dtype=torch.bool)
    pseudo[marked] = True
    loss = build_loss("ce_dice_1_3", num_classes=3)
    whole = BatchLoss(loss, masks, pseudo=pseudo, pseudo_weight=0.25).part(logits, slice(0, 5))
    by_pass = BatchLoss(loss, masks, pseudo=pseudo, pseudo_weight=0.25)
    size = -(-5 // passes)
    parts = [by_pass.part(logits[start : start + size], slice(start, start + size)) for start in range(0, 5, size)]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)
    labelled = 5 - len(marked)
    means = [
        n * loss(logits[which], masks[which]) for n, which in ((labelled, ~pseudo), (0.25 * len(marked), pseudo)) if n
    ]
    assert whole.item() == pytest.approx(float(sum(means)) / (labelled + 0.25 * len(marked)), rel=1e-5)


def test_they_are_trained_on_and_never_scored(mixed, monkeypatch):
    seen = []
    monkeypatch.setattr(Trainer, "_confusion", lambda self, rows, keep: seen.append(rows) or torch.eye(3).long())
    made = Trainer(tiny.config(fold=0), mixed)
    made.run_epoch()
    assert len(made.batches) == 4  # of four labelled photos and four others, two a step
    assert seen == [(0, 1), (2, 3)]


def test_a_trial_with_them_goes_on_as_if_nothing_had_happened(mixed):
    how = {"augmentation": "light", "dropout": 0.3}
    unbroken, resumed = (Trainer(tiny.config(**how), mixed) for _ in range(2))
    unbroken.run_epoch()
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()))
    assert tiny.timeless([resumed.run_epoch()]) == tiny.timeless([unbroken.run_epoch()])


def test_another_node_packs_them_itself_and_refuses_others(mixed, tmp_path):
    shutil.copytree(mixed.pseudo.root, tmp_path / "P")
    pseudo = dataclasses.replace(mixed.pseudo, root=tmp_path / "P")
    elsewhere = dataclasses.replace(mixed, pseudo=pseudo, cache_dir=tmp_path / "cache")
    assert np.array_equal(elsewhere.open_pseudo(SIZE)[0].masks, mixed.open_pseudo(SIZE)[0].masks)
    shutil.copy(tmp_path / "P" / "images" / "0.png", tmp_path / "P" / "images" / "1.png")
    with pytest.raises(UserError, match=r"P holds another data set here .*copy the same files to every node"):
        elsewhere.open_pseudo((16, 24))
