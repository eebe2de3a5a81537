import numpy as np
import pytest

from ensembling.scores import confusion_matrix, counts_from_confusion
from ensembling.table import build_table
from tests.ensembling import naive
from tests.ensembling.cases import random_case


@pytest.mark.parametrize("seed", range(20))
def test_row_of_an_addition_is_the_vote_of_the_larger_set(seed):
    case = random_case(seed, candidates=6, pixels=40)
    table = build_table(list(case.predictions), case.target, case.num_classes, ignore_index=case.ignore_index)
    members = np.random.default_rng(seed).permutation(6)[: seed % 6]
    additions = table.addition_counts(members, [0])
    for candidate in range(6):
        np.testing.assert_array_equal(additions[candidate], table.vote_counts({*members, candidate}, [0]))


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_the_confusion_matrix_after_every_reranking(seed):
    case = random_case(seed, candidates=70, pixels=40)
    table = build_table(list(case.predictions), case.target, case.num_classes, ignore_index=case.ignore_index)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        ranking = rng.permutation(70)
        table.rerank(ranking)
        voted = naive.vote(case.predictions[ranking[:68]], case.num_classes)
        confusion = confusion_matrix(voted, case.target, case.num_classes, case.ignore_index)
        np.testing.assert_array_equal(table.vote_counts(range(68), [0]), counts_from_confusion(confusion))
    assert table.ranking == tuple(ranking)
