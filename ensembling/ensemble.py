"""ensemble.json: who votes, in which order, and what the vote scored. Enough to take the same vote again."""

import json
import math
import os
from pathlib import Path
from typing import Any

from ensembling.candidates import Candidate
from ensembling.predictions import Predictions
from ensembling.selection import Selection

TIE_RULE = "the class with most votes; among tied classes, the one that the best-ranked member predicts among them"


def describe_ensemble(
    selection: Selection, candidates: list[Candidate], target: Predictions, study: str
) -> dict[str, Any]:
    """Plain values for ensemble.json; a score that does not exist (an absent class, no cross-fit) is null."""
    members = [
        {
            "rank": rank,
            "run_id": candidates[index].run_id,
            "name": candidates[index].name,
            "miou": float(selection.scores[index]),
            "params": candidates[index].params,
        }
        for rank, index in enumerate(selection.members, start=1)
    ]
    return {
        "format_version": 1,
        "study": study,
        "holdout_fingerprint": target.fingerprint,
        "holdout_images": len(target.image_ids),
        "class_names": list(target.class_names),
        "tie_rule": TIE_RULE,
        "members": members,
        "miou": selection.miou,
        "crossfit_miou": _number(selection.crossfit_miou),
        "iou": {name: _number(iou) for name, iou in zip(target.class_names, selection.iou)},
        "baselines": {name: float(miou) for name, miou in selection.baselines.items()},
        "candidates": [candidates[index].run_id for index in selection.ranking],
        "path": [candidates[index].run_id for index in selection.path],
        "path_miou": [float(miou) for miou in selection.path_miou],
    }


def save_ensemble(path: Path, ensemble: dict[str, Any]) -> None:
    """Atomic: the file is whole or as it was."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(ensemble, indent=1, allow_nan=False) + "\n")
    os.replace(temporary, path)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
