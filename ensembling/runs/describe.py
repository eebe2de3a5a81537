"""From a selection and what it is worth to the record that becomes ensemble.json."""

import math
from collections.abc import Sequence

import numpy as np

from ensembling.assessment.assess import FEW_PHOTOS, Assessment
from ensembling.assessment.diversity import Diversity
from ensembling.predictions import Predictions
from ensembling.runs.candidates import Candidate
from ensembling.runs.ensemble import (
    TIE_RULE,
    ClassFigures,
    CrossfitFold,
    EnsembleRecord,
    ListedMember,
    ListedRun,
    WithoutRare,
)
from ensembling.selection.crossfit import fold_of_images
from ensembling.selection.select_ensemble import Selection


def describe_ensemble(
    selection: Selection,
    assessment: Assessment,
    diversity: Diversity,
    candidates: Sequence[Candidate],
    target: Predictions,
    seed: int,
) -> EnsembleRecord:
    """Return the record of a selection. A score that does not exist (an absent class, no cross-fit) is None.

    Args:
        selection: Which candidates were chosen, by their indices.
        assessment: What their vote scores.
        diversity: How much the members differ.
        candidates: All candidates.
        target: The holdout's masks.
        seed: The seed of the cross-fit's folds.
    """
    ids = [candidate.run_id for candidate in candidates]
    return EnsembleRecord(
        holdout_fingerprint=target.fingerprint,
        holdout_edits=target.edits,
        holdout_images=len(target.image_ids),
        holdout_groups=len(target.grouped_ids()),
        class_names=target.class_names,
        tie_rule=TIE_RULE,
        members=_members(selection, diversity, candidates),
        miou=selection.miou,
        crossfit_miou=_number(selection.crossfit_miou),
        optimism=assessment.optimism,
        miou_interval=assessment.miou,
        best_single_interval=assessment.best_single,
        crossfit_interval=assessment.crossfit_miou,
        gains=assessment.gains,
        crossfit_gains=assessment.crossfit_gains,
        classes=_classes(selection, assessment, target),
        rare_photos=FEW_PHOTOS,
        without_rare=_without_rare(assessment, target),
        iou={name: _number(iou) for name, iou in zip(target.class_names, selection.iou)},
        baselines={name: miou for name, (_, miou) in assessment.baselines.items()},
        baseline_sizes={name: size for name, (size, _) in assessment.baselines.items()},
        topk_miou=tuple(assessment.topk_miou.tolist()),
        candidates=tuple(_run(candidates[index], selection.scores[index]) for index in selection.ranking),
        path=tuple(ids[index] for index in selection.path),
        path_miou=tuple(float(miou) for miou in selection.path_miou),
        crossfit_folds=_folds(selection, target, ids, seed),
        disagreement=_rows(diversity.disagreement),
        kappa=_rows(diversity.kappa),
        double_fault=_rows(diversity.double_fault),
    )


def _rows(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))


def _run(candidate: Candidate, miou: float) -> ListedRun:
    return ListedRun(
        run_id=candidate.run_id,
        name=candidate.name,
        study=candidate.study,
        trial=candidate.trial,
        miou=float(miou),
    )


def _classes(selection: Selection, assessment: Assessment, target: Predictions) -> tuple[ClassFigures, ...]:
    """Return, for each class, its numbers of photos and scenes in the holdout and its share of the mIoU's variance."""
    values = zip(
        target.class_names,
        target.photos_with_classes().tolist(),
        assessment.class_scenes.tolist(),
        selection.iou,
        assessment.error_shares.tolist(),
    )
    return tuple(
        ClassFigures(name=name, photos=photos, scenes=scenes, iou=_number(iou), error_share=share)
        for name, photos, scenes, iou, share in values
    )


def _without_rare(assessment: Assessment, target: Predictions) -> WithoutRare | None:
    found = assessment.without_rare
    return found and WithoutRare(
        classes=tuple(target.class_names[class_id] for class_id in found.left_out),
        miou_interval=found.miou,
        gains=found.gains,
    )


def _members(selection: Selection, diversity: Diversity, candidates: Sequence[Candidate]) -> tuple[ListedMember, ...]:
    return tuple(
        ListedMember(
            **vars(_run(candidates[index], selection.scores[index])),
            rank=rank + 1,
            votes=selection.weights[rank],
            leave_one_out=_number(diversity.leave_one_out[rank]),
            shapley=float(diversity.shapley[rank]),
            shapley_error=float(diversity.shapley_error[rank]),
            params=candidates[index].params,
        )
        for rank, index in enumerate(selection.members)
    )


def _folds(selection: Selection, target: Predictions, ids: list[str], seed: int) -> tuple[CrossfitFold, ...]:
    """Return, for each fold of the cross-fit, its images and the members that vote on them.

    The members are ranked by their scores on the other folds.
    """
    fit = selection.crossfit
    groups = target.held_out_ids()
    folds, _ = fold_of_images(len(groups), seed)
    return tuple(
        CrossfitFold(
            images=tuple(sorted(image for ids, its in zip(groups, folds) if its == fold for image in ids)),
            members=tuple(ids[index] for index in members),
            votes=tuple(weights),
            ranking=tuple(ids[index] for index in ranking),
        )
        for fold, (members, weights, ranking) in enumerate(zip(fit.members, fit.weights, fit.rankings))
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
