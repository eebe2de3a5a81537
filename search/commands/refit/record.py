"""The end of a refit: the ensemble of its models, and what can be said of a vote that may have no holdout."""

from typing import Any

import numpy as np
from rich.console import Console

from ensembling import hard_vote, read_predictions
from ensembling.assessment.bootstrap import Interval
from ensembling.runs.ensemble import TIE_RULE, EnsembleRecord, ListedMember, RefitOf, save_ensemble
from ensembling.runs.members import described_data
from ensembling.scores import confusion_matrix, miou
from search.commands.ensemble.record import with_weights
from search.report.console import say
from search.study.study import Study
from search.tracking.tracker import Tracker
from trainables.trial.files import TrialFiles


def conclude_refit(study: Study, tracker: Tracker) -> EnsembleRecord | None:
    """Write ensemble.json of the models that were trained to their end, and return its content.

    Returns None where no model was trained to its end.
    """
    trained = [
        (model, files)
        for number, model in enumerate(study.refit["models"], start=1)
        if _is_trained(files := study.trial_files(number))
    ]
    if not trained:
        tracker.final_status = "FAILED"
        return None
    ensemble = describe_refitted(study, trained, [tracker.trial_run_id(files.number) for _, files in trained])
    save_ensemble(study.ensemble_file, ensemble)
    return ensemble


def log_refit(study: Study, tracker: Tracker, ensemble: EnsembleRecord) -> None:
    """Log what `conclude_refit` returned."""
    tracker.client.log_artifact(tracker.parent_id, str(study.ensemble_file))
    tracker.describe_result(refit_words(study, ensemble))


def _is_trained(files: TrialFiles) -> bool:
    return (files.read_verdict() or {}).get("status") == "completed" and files.best_weights.exists()


def describe_refitted(
    study: Study, trained: list[tuple[dict[str, Any], TrialFiles]], run_ids: list[str]
) -> EnsembleRecord:
    """Return what ensemble.json will say of the vote of refitted models.

    `trained` holds the models and their files in rank order, and `run_ids` their runs in MLflow. The record has a
    `miou`, of each member's last epoch and of their vote, only where the holdout was left out of training.
    """
    refit = study.refit
    members = [
        ListedMember(
            rank=rank,
            run_id=run_id,
            name=f"{study.name}-{files.number:04d}",
            study=study.name,
            trial=files.number,
            miou=study.data.kept_score(files.records()),
            votes=model["votes"],
            refit_of=RefitOf(name=model["member"], run_id=model["member_run_id"]),
            params={key: str(value) for key, value in files.read_config().to_dict().items()},
        )
        for rank, ((model, files), run_id) in enumerate(zip(trained, run_ids), start=1)
    ]
    interval = refit["crossfit_interval"]
    return EnsembleRecord(
        **{**described_data(study.directory), "class_names": study.data.class_names},
        tie_rule=refit["tie_rule"] or TIE_RULE,
        views=refit["views"],
        refit_of=RefitOf(ensemble=refit["ensemble"], run_id=refit["run_id"]),
        members=with_weights(members, study.directory.parent),
        holdout_fingerprint=study.holdout_fingerprint if study.data.scored else None,
        miou=_vote_miou(study, trained) if study.data.scored else None,
        crossfit_miou=refit["crossfit_miou"],
        crossfit_interval=interval and Interval(**interval),
        expectation=expectation(study),
    )


def _vote_miou(study: Study, trained: list[tuple[dict[str, Any], TrialFiles]]) -> float:
    target = read_predictions(study.target_file)
    votes = np.stack([read_predictions(files.predictions).pixels for _, files in trained])
    num_classes = len(target.class_names)
    winners = hard_vote(votes, num_classes, weights=[model["votes"] for model, _ in trained])
    return float(miou(confusion_matrix(winners, target.pixels, num_classes)))


def expectation(study: Study) -> str:
    """Return a sentence on the score to expect on new images, which is the cross-fitted mIoU of the first ensemble."""
    refit = study.refit
    if refit["crossfit_miou"] is None:
        return f"{refit['ensemble']} has no cross-fitted estimate: the score on new images is not known."
    error = refit["crossfit_interval"]["standard_error"] if refit["crossfit_interval"] else None
    value = f"{refit['crossfit_miou']:.3f}" + ("" if error is None else f" ± {error:.3f}")
    return (
        f"Expect about {value} on new images of the same kind: the cross-fitted mIoU of the ensemble "
        f"{refit['ensemble']}, which was computed before its members were trained again."
    )


def refit_words(study: Study, ensemble: EnsembleRecord) -> str:
    """Return sentences on what was scored, if anything was, which models failed, and what to expect."""
    if ensemble.miou is None:
        scored = "All labelled photos were trained on, so no photo is left for validation and nothing was scored."
    else:
        images = len(study.data.splits.holdout)
        scored = (
            f"The vote of the last epochs scores {ensemble.miou:.4f} on the {images} holdout images, which were "
            "left out of training. No epoch was chosen on them, but the configurations were."
        )
    missing = len(study.refit["models"]) - len(ensemble.members)
    failed = f" {missing} of {len(study.refit['models'])} models failed and do not vote." if missing else ""
    return f"{scored}{failed} {ensemble.expectation}"


def report_refit(study: Study, ensemble: EnsembleRecord | None, console: Console) -> int:
    """Print the result and its file, and return the exit code: 1 if no model was trained to its end."""
    if ensemble is None:
        say(console, f"No model was trained to its end, so there is no ensemble; the logs are in {study.trials_dir}")
        return 1
    say(console, refit_words(study, ensemble))
    say(console, f"ensemble  {study.ensemble_file}")
    return 0
