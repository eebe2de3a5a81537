"""Plots of an ensemble, as files: the scores of votes of every size, and how diverse the members are."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from ensembling.runs.ensemble import EnsembleRecord


def plot_ensemble(ensemble: EnsembleRecord, directory: Path) -> list[Path]:
    """Write ensemble.png, and diversity.png where there is more than one member; return their paths."""
    plots = [plot_sizes(ensemble, directory / "ensemble.png")]
    if len(ensemble.members) > 1:
        plots.append(plot_diversity(ensemble, directory / "diversity.png"))
    return plots


def plot_sizes(ensemble: EnsembleRecord, path: Path) -> Path:
    """Plot the mIoU of the best k candidates for every k, and that along the path of the selection."""
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    top, steps = ensemble.topk_miou, ensemble.path_miou
    # Broad, since the path often follows it.
    axes.plot(range(1, len(top) + 1), top, linewidth=5, color="lightgray", label="the top k runs")
    axes.plot(range(1, len(steps) + 1), steps, marker="o", markersize=4, label="path of the selection")
    axes.axvline(len(ensemble.members), color="tab:green", linestyle="--", label="selected size")
    if ensemble.crossfit_miou is not None:
        expected, error = ensemble.crossfit_miou, ensemble.crossfit_interval.standard_error
        label = "cross-fitted" if error is None else "cross-fitted, ± standard error"
        axes.axhline(expected, color="tab:red", linestyle=":", label=label)
        if error is not None:
            axes.axhspan(expected - error, expected + error, color="tab:red", alpha=0.1, linewidth=0)
    axes.set(xlabel="members", ylabel="holdout mIoU", title="Score of the vote by number of members")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize="small")
    return _save(figure, path)


def plot_diversity(ensemble: EnsembleRecord, path: Path) -> Path:
    """Plot for pairs of members how often they differ, their kappa, and how often both are wrong."""
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    names = [member.name for member in ensemble.members]
    titles = {
        "disagreement": "share of pixels on which two differ",
        "kappa": "Cohen's kappa of two",
        "double_fault": "share of pixels on which both are wrong",
    }
    for axes, (key, title) in zip(panels, titles.items()):
        values = np.array(getattr(ensemble, key))
        np.fill_diagonal(values, np.nan)  # a member beside itself would take the colours of all others
        image = axes.imshow(values, cmap="viridis")
        figure.colorbar(image, ax=axes, shrink=0.8)
        axes.set_title(title)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize="x-small")
        axes.set_yticks(range(len(names)), names, fontsize="x-small")
    return _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> Path:
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
