"""Each head learns eight real photos by heart: `pytest -m long -s tests/trainables/models/test_overfit.py`."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

from tests.benchmarks.places import ROOT, WEIGHTS
from trainables.data import load_dataset, pack
from trainables.inference.metrics import confusion_matrix, miou
from trainables.models import HEADS, build_model

RECYCLE = ROOT.parent / "shared" / "data" / "recycle60"
BACKBONE = "tf_efficientnet_lite0"
SIZE = (128, 128)
PHOTOS = 8
STEPS = 150  # at most, each of all photos: batch norm then has the same statistics in evaluation as in training
LOOK = 15  # steps between two looks at the score


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eight photos, uint8 (8, 3, h, w), and their class maps; classes that no photo has are no outputs.

    Those without specks: of an object of few pixels, logits at a stride of 8 or 16 cannot give 0.9.
    """
    packed = pack(load_dataset(RECYCLE), SIZE, tmp_path_factory.mktemp("cache"))
    rows = sorted(sorted(range(len(packed.masks)), key=lambda row: -_smallest(packed.masks[row]))[:PHOTOS])
    images = torch.from_numpy(packed.images[rows].copy()).permute(0, 3, 1, 2)
    classes, target = torch.from_numpy(packed.masks[rows].copy()).long().unique(return_inverse=True)
    return images, target, len(classes)


def _smallest(mask):
    """Pixels of the rarest class that the photo has."""
    return np.unique(mask, return_counts=True)[1].min()


@pytest.mark.long
@pytest.mark.skipif(not RECYCLE.is_dir() or not WEIGHTS.is_dir(), reason=f"there is no {RECYCLE}, or no {WEIGHTS}")
@pytest.mark.parametrize("head", HEADS)
def test_head_learns_eight_photos_by_heart(head, photos):
    images, target, num_classes = photos
    torch.manual_seed(0)
    model = build_model(
        head=head, backbone=BACKBONE, num_classes=num_classes, weights_dir=WEIGHTS, image_size=SIZE, dropout=0.0
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=STEPS, pct_start=0.1)
    class_weights = target.flatten().bincount().float().rsqrt()
    score = 0.0
    for step in range(STEPS):
        outputs = model.train().training_logits(model.normalize(images))
        sum(weight * F.cross_entropy(logits, target, class_weights) for weight, logits in outputs).backward()
        clip_grad_norm_(model.parameters(), 1.0)  # K-Net's first gradients are a thousand times those that follow
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if (step + 1) % LOOK == 0:
            with torch.no_grad():
                prediction = model.eval()(model.normalize(images)).argmax(1)
            score = miou(confusion_matrix(prediction, target, num_classes))
            if score >= 0.9:
                break
    print(f"{head}: {score:.3f} after {step + 1} steps", flush=True)
    assert score >= 0.9
