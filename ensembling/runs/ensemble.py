"""ensemble.json: the members of an ensemble, their order and the scores of their vote.

The file holds enough to take the same vote again.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ensembling.assessment.assess import FEW_PHOTOS, Assessment
from ensembling.assessment.bootstrap import Interval
from ensembling.assessment.diversity import Diversity
from ensembling.predictions import Predictions
from ensembling.runs.candidates import Candidate, describe_candidate
from ensembling.selection.crossfit import fold_of_images
from ensembling.selection.select_ensemble import Selection
from trainables.files import write_text

TIE_RULE = "the class with most votes; among tied classes, the one that the best-ranked member predicts among them"


def describe_ensemble(
    selection: Selection,
    assessment: Assessment,
    diversity: Diversity,
    candidates: Sequence[Candidate],
    target: Predictions,
    seed: int,
) -> dict[str, Any]:
    """Return plain values for ensemble.json. A score that does not exist is null.

    A score does not exist for a class that is absent from the holdout, or where nothing was cross-fitted.
    """
    ids = [candidate.run_id for candidate in candidates]
    return {
        "format_version": 2,
        "holdout_fingerprint": target.fingerprint,
        "holdout_edits": target.edits,
        "holdout_images": len(target.image_ids),
        "holdout_groups": len(target.grouped_ids()),
        "class_names": list(target.class_names),
        "tie_rule": TIE_RULE,
        "members": _members(selection, diversity, candidates),
        "miou": selection.miou,
        "crossfit_miou": _number(selection.crossfit_miou),
        "optimism": assessment.optimism,
        "miou_interval": _interval(assessment.miou),
        "best_single_interval": _interval(assessment.best_single),
        "crossfit_interval": _interval(assessment.crossfit_miou),
        "gains": _intervals(assessment.gains),
        "crossfit_gains": _intervals(assessment.crossfit_gains),
        "classes": _classes(selection, assessment, target),
        "rare_photos": FEW_PHOTOS,
        "without_rare": _without_rare(assessment, target),
        "iou": {name: _number(iou) for name, iou in zip(target.class_names, selection.iou)},
        "baselines": {name: miou for name, (_, miou) in assessment.baselines.items()},
        "baseline_sizes": {name: size for name, (size, _) in assessment.baselines.items()},
        "topk_miou": assessment.topk_miou.tolist(),
        "candidates": [describe_candidate(candidates[index], selection.scores[index]) for index in selection.ranking],
        "path": [ids[index] for index in selection.path],
        "path_miou": [float(miou) for miou in selection.path_miou],
        "crossfit_folds": _folds(selection, target, ids, seed),
        "disagreement": diversity.disagreement.tolist(),
        "kappa": diversity.kappa.tolist(),
        "double_fault": diversity.double_fault.tolist(),
    }


def _classes(selection: Selection, assessment: Assessment, target: Predictions) -> list[dict[str, Any]]:
    """Return, for each class, its numbers of photos and scenes in the holdout and its share of the mIoU's variance."""
    values = zip(
        target.class_names,
        target.photos_with_classes().tolist(),
        assessment.class_scenes.tolist(),
        selection.iou,
        assessment.error_shares.tolist(),
    )
    return [
        {"name": name, "photos": photos, "scenes": scenes, "iou": _number(iou), "error_share": share}
        for name, photos, scenes, iou, share in values
    ]


def _without_rare(assessment: Assessment, target: Predictions) -> dict[str, Any] | None:
    found = assessment.without_rare
    return found and {
        "classes": [target.class_names[class_id] for class_id in found.left_out],
        "miou_interval": _interval(found.miou),
        "gains": _intervals(found.gains),
    }


def _members(selection: Selection, diversity: Diversity, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [
        {
            "rank": place + 1,
            **describe_candidate(candidates[index], selection.scores[index]),
            "votes": selection.weights[place],
            "leave_one_out": _number(diversity.leave_one_out[place]),
            "shapley": float(diversity.shapley[place]),
            "shapley_error": float(diversity.shapley_error[place]),
            "params": candidates[index].params,
        }
        for place, index in enumerate(selection.members)
    ]


def _folds(selection: Selection, target: Predictions, ids: list[str], seed: int) -> list[dict[str, Any]]:
    """Return, for each fold of the cross-fit, its images and the members that vote on them.

    The members are ranked by their scores on the other folds.
    """
    fit = selection.crossfit
    groups = target.held_out_ids()
    folds, _ = fold_of_images(len(groups), seed)
    return [
        {
            "images": sorted(image for ids, its in zip(groups, folds) if its == fold for image in ids),
            "members": [ids[index] for index in members],
            "votes": list(weights),
            "ranking": [ids[index] for index in ranking],
        }
        for fold, (members, weights, ranking) in enumerate(zip(fit.members, fit.weights, fit.rankings))
    ]


def save_ensemble(path: Path, ensemble: dict[str, Any]) -> None:
    """Write ensemble.json, whole or not at all."""
    write_text(path, json.dumps(ensemble, indent=1, allow_nan=False) + "\n")


def _intervals(intervals: dict[str, Interval] | None) -> dict[str, Any] | None:
    return None if intervals is None else {name: _interval(one) for name, one in intervals.items()}


def _interval(one: Interval | None) -> dict[str, float | None] | None:
    return None if one is None else asdict(one)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
