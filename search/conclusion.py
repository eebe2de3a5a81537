"""The end of a search: select from the study's candidates, and say what the vote scores."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import mlflow.exceptions
from rich.console import Console
from rich.table import Table

from ensembling import PredictionsError, read_predictions, select_ensemble
from ensembling.candidates import load_candidates
from ensembling.ensemble import describe_ensemble, save_ensemble
from search.study import Study
from search.tracking import Tracker, metric_name
from trainables.errors import UserError
from trainables.trial_files import read_json

FEW_IMAGES = 50  # below this, scores differ by chance more than ensembles do by merit


def conclude(study: Study, tracker: Tracker, *, include_stopped: bool, max_members: int) -> dict[str, Any] | None:
    """Selects, writes ensemble.json, logs it as a run under the study's; None where no trial has predictions."""
    try:
        target = read_predictions(study.target_file)
        candidates = load_candidates(
            tracker.client, tracker.experiment_id, tracker.parent_id, target, include_stopped=include_stopped
        )
    except (FileNotFoundError, PredictionsError, mlflow.exceptions.MlflowException) as error:
        raise UserError(f"the predictions of the study's trials cannot be read: {error}") from error
    if not candidates:
        return None
    selection = select_ensemble(
        [candidate.predictions.pixels for candidate in candidates],
        target.pixels,
        study.data.num_classes,
        max_members=max_members,
        image_ids=target.image_of_pixels(),
    )
    ensemble = describe_ensemble(selection, candidates, target, study.name)
    if _is_logged(study, tracker, ensemble):  # the study was resumed after its end, and nothing changed
        return ensemble
    save_ensemble(study.ensemble_file, ensemble)
    curve = _plot_path(ensemble, study.directory / "ensemble.png")
    tracker.log_ensemble(
        {"members": len(selection.members), "candidates": len(candidates), "max_members": max_members},
        _metrics(ensemble),
        [study.ensemble_file, curve],
    )
    tracker.describe_result(_summary(ensemble))
    return ensemble


def _is_logged(study: Study, tracker: Tracker, ensemble: dict[str, Any]) -> bool:
    same = study.ensemble_file.exists() and read_json(study.ensemble_file) == ensemble
    return same and tracker.has_ensemble()


def _summary(ensemble: dict[str, Any]) -> str:
    """Markdown for the study's page."""
    rows = [(name.replace("_", " "), miou) for name, miou in ensemble["baselines"].items()]
    rows.append((f"**selected {len(ensemble['members'])}**", ensemble["miou"]))
    if ensemble["crossfit_miou"] is not None:
        rows.append(("selected, cross-fitted", ensemble["crossfit_miou"]))
    lines = [f"| {name} | {miou:.4f} |" for name, miou in rows]
    return "\n".join(["| vote of | holdout mIoU |", "| --- | ---: |", *lines])


def _metrics(ensemble: dict[str, Any]) -> dict[str, float]:
    metrics = {"holdout/miou": ensemble["miou"], "crossfit/miou": ensemble["crossfit_miou"]}
    metrics |= {f"baseline/{name}": miou for name, miou in ensemble["baselines"].items()}
    metrics |= {f"holdout/iou/{name}": iou for name, iou in ensemble["iou"].items()}
    return {metric_name(key): value for key, value in metrics.items() if value is not None}


def _plot_path(ensemble: dict[str, Any], path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    steps = range(1, len(ensemble["path_miou"]) + 1)
    axes.plot(steps, ensemble["path_miou"], marker="o", label="greedy path")
    axes.axvline(len(ensemble["members"]), color="tab:green", linestyle="--", label="selected size")
    axes.axhline(ensemble["baselines"]["best_single"], color="tab:gray", linestyle=":", label="best single")
    if ensemble["crossfit_miou"] is not None:
        axes.axhline(ensemble["crossfit_miou"], color="tab:red", linestyle=":", label="cross-fitted estimate")
    axes.set(xlabel="members", ylabel="holdout mIoU", xticks=list(steps))
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def show_ensemble(console: Console, ensemble: dict[str, Any]) -> None:
    """Two tables: what the vote scores beside simpler choices, and who votes."""
    names = {
        "best_single": "best single",
        "top_3": "top 3",
        "top_5": "top 5",
        "all": f"all {len(ensemble['candidates'])}",
    }
    table = Table(title=f"Hard vote on the {ensemble['holdout_images']} holdout images", title_justify="left")
    table.add_column("vote of")
    table.add_column("mIoU", justify="right")
    for key, label in names.items():
        table.add_row(label, f"{ensemble['baselines'][key]:.4f}")
    table.add_row(f"selected {len(ensemble['members'])}", f"{ensemble['miou']:.4f}", style="bold")
    if ensemble["crossfit_miou"] is not None:
        table.add_row("selected, cross-fitted", f"{ensemble['crossfit_miou']:.4f}")
    console.print(table)
    console.print(_members_table(ensemble))
    console.print(_honest_words(ensemble), soft_wrap=True)


def _members_table(ensemble: dict[str, Any]) -> Table:
    table = Table(title="Members, in rank order", title_justify="left")
    for column in ("rank", "run", "mIoU", "head", "backbone", "loss"):
        table.add_column(column, justify="right" if column in ("rank", "mIoU") else "left", overflow="fold")
    for member in ensemble["members"]:
        shown = [member["params"].get(name, "") for name in ("head", "backbone", "loss")]
        table.add_row(str(member["rank"]), member["name"], f"{member['miou']:.4f}", *shown)
    return table


def _honest_words(ensemble: dict[str, Any]) -> str:
    words = []
    if ensemble["crossfit_miou"] is not None:
        words.append(
            f"Expect about {ensemble['crossfit_miou']:.3f} on new images of the same kind: the selected set was "
            "chosen on these images, the cross-fitted score on others than each is scored on."
        )
        if ensemble["crossfit_miou"] <= ensemble["baselines"]["best_single"]:
            words.append("That is no more than the best single run scores here: the vote is not shown to help.")
    if ensemble["holdout_images"] < FEW_IMAGES:
        words.append(f"With {ensemble['holdout_images']} holdout images, small differences are chance.")
    return " ".join(words)
