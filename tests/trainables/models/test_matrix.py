"""Every head on every family, by the checks that make the README's table; here on narrower heads."""

import pytest
import torch

from tests.trainables.models import matrix
from tests.trainables.models.micro import FAMILIES
from trainables.models import HEADS

torch.set_num_threads(1)

EXPORTED = {("semask_fpn", "Swin"), ("knet_upernet", "BEiT"), ("ocr", "HRNet")}  # seconds each


# The table has these checks of all pairs; here a head is evaluated on a third of the families, a family with a third.
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


def test_readme_has_a_row_for_every_head_and_a_column_for_every_family():
    table = matrix.README.read_text().split(matrix.BEGIN)[1].split(matrix.END)[0].splitlines()
    assert [cell.strip() for cell in table[0].split("|")[2:-1]] == list(FAMILIES)
    assert [row.split("|")[1].strip() for row in table[2:]] == list(HEADS)
