"""How often each search finds the true optimum among 8 to 12 candidates, and what its choice scores on unseen images.

Exhaustive search is the judge. Gains are over the best single candidate, in points of mIoU, with twice their standard
error over the pools. The bagged modes and replacement answer with weights, which no set of plain members equals: of
those only the gain is shown.
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling import Selection, hard_vote, select_ensemble
from ensembling.scores import confusion_matrix, miou
from tests.benchmarks.pools import Pool, make_pool

MODES = ("greedy", "swap", "beam", "exhaustive", "bagged_images", "bagged_runs", "replacement")
HOLDOUT, UNSEEN, SIZE, MEMBERS = 40, 160, (24, 24), 12


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pools", type=int, default=300, help="simulated studies")


def run(options: argparse.Namespace, console: Console) -> None:
    found = {mode: [] for mode in MODES}
    gains = {mode: [] for mode in MODES}
    gaps = {mode: [] for mode in MODES}
    for seed in range(options.pools):
        holdout, unseen = make_pool(seed, 8 + seed % 5, HOLDOUT + UNSEEN, SIZE).cut(HOLDOUT)
        chosen = {mode: _select(holdout, mode) for mode in MODES}
        single = _score(unseen, [chosen["greedy"].ranking[0]], [1])
        for mode, selection in chosen.items():
            gap = chosen["exhaustive"].miou - selection.miou
            found[mode].append(gap <= 1e-12)
            gaps[mode].append(gap)
            gains[mode].append(_score(unseen, selection.members, selection.weights) - single)
    shown = Table("search", "finds the optimum", "behind it on the holdout", "gain on unseen images")
    for mode in MODES:
        is_set = mode in MODES[:4]
        gain, error = np.mean(gains[mode]), 2 * np.std(gains[mode]) / np.sqrt(options.pools)
        cells = (f"{np.mean(found[mode]):.0%}" if is_set else "", f"{100 * np.mean(gaps[mode]):.3f}" if is_set else "")
        shown.add_row(mode, *cells, f"{100 * gain:+.2f} ± {100 * error:.2f}")
    console.print(f"{options.pools} pools of 8 to 12 candidates; {HOLDOUT} holdout, {UNSEEN} unseen images of {SIZE}")
    console.print(shown)


def _select(pool: Pool, mode: str) -> Selection:
    images = pool.image_ids if mode == "bagged_images" else None
    maps = (np.ascontiguousarray(pool.predictions), pool.target, pool.num_classes)
    return select_ensemble(*maps, mode=mode, max_members=MEMBERS, image_ids=images)


def _score(pool: Pool, members: list[int] | tuple[int, ...], weights: list[int] | tuple[int, ...]) -> float:
    voted = hard_vote(pool.predictions[list(members)], pool.num_classes, weights)
    return miou(confusion_matrix(voted, pool.target, pool.num_classes))
