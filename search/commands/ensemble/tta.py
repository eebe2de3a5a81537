"""The holdout, predicted again with other views than those in training, so that the selection scores what will vote."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ensembling import Predictions, check_same_holdout, read_predictions, write_predictions
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.runs.candidates import Candidate
from ensembling.runs.ensemble import EffectOfViews, ListedMember
from ensembling.runs.members import Member, find_member
from ensembling.scores import miou_from_counts
from search.commands.ensemble.options import EnsembleOptions
from search.study.study import study_in
from trainables.data.photo_list import Photo, as_photos
from trainables.errors import UserError
from trainables.inference.predictor import Predictor
from trainables.trial.files import TrialFiles
from trainables.trial.study_files import ENSEMBLE_FILE


def with_views(candidates: Sequence[Candidate], target: Predictions, options: EnsembleOptions) -> Iterator[Candidate]:
    """Yield each candidate with the class maps that it predicts with `options.views`; they are kept beside its weights.

    Predictions of an earlier command are read. Raises UserError where a trial's weights or the holdout's photos are
    missing or were replaced.
    """
    photos: tuple[Photo, ...] = ()
    for candidate in candidates:
        member, files = _trained(candidate, options)
        kept = files.predictions_with(f"{options.views.to_dict()} {member.weights_sha256}")
        if kept.exists():
            predictions = read_predictions(kept)
            check_same_holdout(target, predictions, first_name="the holdout", second_name=str(kept))
        else:
            photos = photos or holdout_photos(candidate, target, options)
            predictor = Predictor(
                member.config, member.weights, num_classes=len(target.class_names), views=options.views
            )
            pixels = np.concatenate([class_map.reshape(-1) for class_map in predictor.class_maps(photos)])
            predictions = dataclasses.replace(target, pixels=pixels)
            write_predictions(kept, predictions)
        yield dataclasses.replace(candidate, predictions=predictions)


def _trained(candidate: Candidate, options: EnsembleOptions) -> tuple[Member, TrialFiles]:
    known = {key: getattr(candidate, key) for key in ("name", "run_id", "study", "trial", "params")}
    listed = ListedMember(**known)
    member = find_member(listed, 1, options.runs_dir / candidate.study / ENSEMBLE_FILE, options.runs_dir)
    return member, TrialFiles(member.weights.parent)


def holdout_photos(candidate: Candidate, target: Predictions, options: EnsembleOptions) -> tuple[Photo, ...]:
    """Return the photos of the holdout in the target's order.

    Raises UserError where the data set is missing or was changed.
    """
    data = study_in(options.runs_dir / candidate.study, options.cache_dir).data
    root = Path(options.data or data.root)
    dataset = data.load(root)
    if dataset.fingerprint != data.fingerprint:
        raise UserError(
            f"the data in {root} is not that of study {candidate.study}: give the directory that holds it as --data"
        )
    by_name = {image.file_name: image for image in dataset.images}
    return as_photos(by_name[name] for name in target.image_ids)


def effect_of_views(
    members: Sequence[ListedMember], before: Sequence[Candidate], after: Sequence[Candidate], target: Predictions
) -> tuple[EffectOfViews, ...]:
    """Return what the holdout's mIoU is with one view and with all, for each member and for their vote.

    Args:
        members: The members in rank order.
        before: The candidates with the class maps of a single view.
        after: The candidates with the class maps of all views.
        target: The holdout's masks.
    """
    num_classes, votes = len(target.class_names), [member.votes for member in members]
    once, averaged = ({one.run_id: one.predictions.pixels for one in those} for those in (before, after))

    def score(pixels: Sequence[np.ndarray], weights: Sequence[int]) -> float:
        whole = ImageRuns.of(np.zeros(target.pixels.size, np.uint8))
        counts, _ = growing_counts(pixels, target.pixels, num_classes, whole, [], weights=weights)
        return float(miou_from_counts(counts[-1]))

    ids = [member.run_id for member in members]
    rows = [
        EffectOfViews(name=member.name, one_view=score([once[member.run_id]], [1]), all_views=member.miou)
        for member in members
    ]
    vote = EffectOfViews(
        name="their vote",
        one_view=score([once[one] for one in ids], votes),
        all_views=score([averaged[one] for one in ids], votes),
    )
    return (*rows, vote)
