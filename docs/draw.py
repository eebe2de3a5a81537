"""`python docs/draw.py`: draw the picture of the data flow that the README shows, docs/pictures/flow.png."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

WIDTH, HEIGHT = 1.95, 0.62  # of a box
BOXES = {  # name: (x, y, title, second line, colour)
    "data": (0.0, 1.0, "COCO data set", "checks, splits, cache", "#dbe9f6"),
    "space": (0.0, 0.0, "space", "suggest(trial) → dict", "#e8e3f3"),
    "search": (2.45, 0.5, "search", "Ray Tune, Optuna, ASHA", "#e8e3f3"),
    "trials": (4.9, 1.0, "trials on GPUs", "train, predict the holdout", "#fde6cf"),
    "mlflow": (4.9, 0.0, "MLflow", "one nested run per trial", "#e5e5e5"),
    "vote": (7.35, 0.5, "selection", "hard vote, cross-fitted score", "#d9f0dd"),
    "answer": (9.8, 0.5, "answer", "predict, submit, refit, serve", "#d9f0dd"),
}
ARROWS = (
    ("data", "search"),
    ("space", "search"),
    ("search", "trials"),
    ("search", "mlflow"),
    ("trials", "vote"),
    ("mlflow", "vote"),
    ("vote", "answer"),
)


def draw(path: Path) -> None:
    """Write the picture as PNG."""
    figure, axes = plt.subplots(figsize=(11.8, 2.0))
    for x, y, title, line, colour in BOXES.values():
        axes.add_patch(
            FancyBboxPatch((x, y), WIDTH, HEIGHT, boxstyle="round,pad=0.06", facecolor=colour, edgecolor="#555555")
        )
        axes.text(x + WIDTH / 2, y + 0.41, title, ha="center", va="center", fontsize=11, weight="bold", color="#222222")
        axes.text(x + WIDTH / 2, y + 0.16, line, ha="center", va="center", fontsize=7.2, color="#222222")
    for start, end in ARROWS:
        (x0, y0), (x1, y1) = BOXES[start][:2], BOXES[end][:2]
        axes.add_patch(
            FancyArrowPatch(
                (x0 + WIDTH + 0.08, y0 + HEIGHT / 2),
                (x1 - 0.08, y1 + HEIGHT / 2),
                arrowstyle="-|>",
                mutation_scale=12,
                color="#555555",
            )
        )
    axes.set_xlim(-0.15, 11.9)
    axes.set_ylim(-0.2, 1.8)
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight", facecolor="white", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures" / "flow.png")
