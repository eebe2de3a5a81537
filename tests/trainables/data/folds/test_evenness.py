"""How even folds are, on folds made by hand."""

import pytest

from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data.coco import load_annotations
from trainables.data.exploration.table import make_table
from trainables.data.folds.evenness import measure, rare_classes


@pytest.fixture
def dataset(tmp_path):
    """Four photos: Paper, Paper, Glass of three times the area, and Paper with Glass."""
    shapes = [annotation(1, 1, 1), annotation(2, 2, 1), annotation(3, 3, 2, box(0, 0, 12, 6))]
    shapes += [annotation(4, 4, 1, box(0, 0, 6, 4)), annotation(5, 4, 2, box(6, 0, 6, 4))]
    return load_annotations(
        write(tmp_path, photos=False, train=coco([image(n, f"{n}.png") for n in (1, 2, 3, 4)], shapes))
    )


def test_shares_and_the_worst_deviation(dataset):
    measured = measure(make_table(dataset), {"fold 0": (0, 1), "fold 1": (2, 3)}, range(4))
    at = measured.strata.index
    paper, glass = at(("annotations", "Paper")), at(("pixels", "Glass"))
    assert measured.overall[paper] == 60
    assert measured.shares[:, paper].tolist() == pytest.approx([100, 100 / 3])
    assert measured.overall[glass] == pytest.approx(100 * 96 / 168)
    assert measured.shares[:, glass].tolist() == pytest.approx([0, 100 * 96 / 120])
    assert measured.shares[:, at(("count", "2 classes"))].tolist() == [0, 50]
    assert measured.missing == {"fold 0": ["Glass"]}
    worst, part, stratum = measured.worst()
    assert (part, worst) == ("fold 0", pytest.approx(abs(measured.deviations).max()))
    assert abs(measured.deviations[0, at(stratum)]) == worst


def test_even_folds_deviate_by_nothing(dataset):
    measured = measure(make_table(dataset), {"fold 0": range(4)}, range(4))
    assert measured.worst()[0] == 0


def test_rare_classes_are_named(dataset):
    assert rare_classes(dataset, range(4), 3) == ["Glass (2)"]
    assert rare_classes(dataset, range(4), 2) == []
