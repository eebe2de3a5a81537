"""Every head on every family of backbones, on narrow heads."""

from pathlib import Path

import pytest
import torch

from tests.trainables.models import matrix
from tests.trainables.models.micro import FAMILIES
from trainables.models import HEADS

torch.set_num_threads(1)

EXPORTED = {("semask_fpn", "Swin"), ("knet_upernet", "BEiT"), ("ocr", "HRNet")}  # seconds each


# `python -m tests.trainables.models.matrix` makes all checks of all pairs. Here a head is evaluated on a third of the
# families, and a family with a third of the heads.
def checks_of(head, family):
    yield matrix.check_training
    if (list(HEADS).index(head) + list(FAMILIES).index(family)) % 3 == 0:
        yield matrix.check_evaluation
        yield matrix.check_mixed_precision
    if (head, family) in EXPORTED:
        yield matrix.check_export


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", HEADS)
def test_every_head_on_every_family(head, family):
    num_classes = matrix.classes_of(head, family)
    with matrix.narrow_heads():
        model = matrix.build(head, family, num_classes)
    for check in checks_of(head, family):
        check(model, num_classes)


def test_the_page_on_models_counts_heads_and_families():
    page = (Path(__file__).resolve().parents[3] / "docs" / "models.md").read_text()
    assert f"All {len(HEADS)} heads" in page
    assert f"backbones of {len(FAMILIES)} families" in page
    assert f"all {len(HEADS) * len(FAMILIES)} pairs" in page
    assert not [head for head in HEADS if f"`{head}`" not in page]
