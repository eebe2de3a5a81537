"""What views change: the scores of each member and of the vote, recounted."""

from types import SimpleNamespace

import numpy as np
import pytest

from ensembling import hard_vote
from ensembling.runs.ensemble import ListedMember
from ensembling.scores import confusion_matrix, miou
from search.commands.ensemble.tta import effect_of_views

CLASSES = ("Background", "Paper", "Glass")


def test_the_effect_of_views_is_that_on_each_member_and_on_their_weighted_vote():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 300).astype(np.uint8)
    before, after = (
        [np.where(rng.random(300) < right, target, rng.integers(0, 3, 300)).astype(np.uint8) for _ in range(3)]
        for right in (0.5, 0.7)
    )
    target[:20] = 255
    votes = (2, 1, 1)

    def score(rows, weights):
        return miou(confusion_matrix(hard_vote(np.stack(rows), 3, weights), target, 3))

    def candidates(rows):
        return [SimpleNamespace(run_id=f"id{n}", predictions=SimpleNamespace(pixels=row)) for n, row in enumerate(rows)]

    members = [
        ListedMember(
            run_id=f"id{n}", name=f"run-{n}", study="night", trial=n, votes=votes[n], miou=score(row[None], [1])
        )
        for n, row in enumerate(after)
    ]
    holdout = SimpleNamespace(pixels=target, class_names=CLASSES)
    *rows, vote = effect_of_views(members, candidates(before), candidates(after), holdout)
    assert [row.name for row in rows] == ["run-0", "run-1", "run-2"]
    assert [row.one_view for row in rows] == pytest.approx([score(row[None], [1]) for row in before], abs=1e-13)
    assert [row.all_views for row in rows] == [member.miou for member in members]
    assert vote.one_view == pytest.approx(score(before, votes), abs=1e-13)
    assert vote.all_views == pytest.approx(score(after, votes), abs=1e-13)
