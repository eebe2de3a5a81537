"""How often each search finds the true optimum among 8 to 12 candidates, and what its choice scores on unseen images.

Exhaustive search is the judge. Gains are over the best single candidate, in points of mIoU, with twice their standard
error over the pools. The bagged modes and replacement answer with weights, which no set of plain members equals: of
those only the gain is shown.
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling import hard_vote
from ensembling.counting import VoteTable
from ensembling.scores import confusion_matrix, miou, miou_from_counts
from ensembling.selection.inputs import check_inputs
from ensembling.selection.options import Options
from ensembling.selection.select_ensemble import rank_candidates, search
from tests.benchmarks.vote.pools import Pool, make_pool

MODES = ("greedy", "swap", "beam", "exhaustive", "bagged_images", "bagged_runs", "replacement")
HOLDOUT, UNSEEN, SIZE, MEMBERS = 40, 160, (24, 24), 12


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pools", type=int, default=300, help="simulated studies")


def run(options: argparse.Namespace, console: Console) -> None:
    found, gains, gaps = ({mode: [] for mode in MODES} for _ in range(3))
    for seed in range(options.pools):
        holdout, unseen = make_pool(seed, 8 + seed % 5, HOLDOUT + UNSEEN, SIZE).cut(HOLDOUT)
        table = _table(holdout)
        chosen = {mode: _select(table, mode) for mode in MODES}
        single = _score(unseen, {table.ranking[0]: 1})
        for mode, (votes, on_holdout) in chosen.items():
            gap = chosen["exhaustive"][1] - on_holdout
            found[mode].append(gap <= 1e-12)
            gaps[mode].append(gap)
            gains[mode].append(_score(unseen, votes) - single)
    shown = Table("search", "finds the optimum", "behind it on the holdout", "gain on unseen images")
    for mode in MODES:
        is_set = mode in MODES[:4]
        gain, error = np.mean(gains[mode]), 2 * np.std(gains[mode]) / np.sqrt(options.pools)
        cells = (f"{np.mean(found[mode]):.0%}" if is_set else "", f"{100 * np.mean(gaps[mode]):.3f}" if is_set else "")
        shown.add_row(mode, *cells, f"{100 * gain:+.2f} ± {100 * error:.2f}")
    console.print(f"{options.pools} pools of 8 to 12 candidates; {HOLDOUT} holdout, {UNSEEN} unseen images of {SIZE}")
    console.print(shown)


def _table(holdout: Pool) -> VoteTable:
    """One table for all modes, with the images apart, which one mode draws."""
    maps = (np.ascontiguousarray(holdout.predictions), holdout.target, holdout.num_classes)
    options = Options("bagged_images", MEMBERS)
    inputs = check_inputs(*maps, options, ignore_index=255, image_ids=holdout.image_ids, threads=1)
    return rank_candidates(inputs.build_table())


def _select(table: VoteTable, mode: str) -> tuple[dict[int, int], float]:
    """Votes by candidate, in rank order, and their mIoU on the holdout."""
    table, found = search(table, Options(mode, MEMBERS))
    votes = found.votes
    on_holdout = float(miou_from_counts(table.vote_counts(votes)))
    return {table.ranking[rank]: number for rank, number in votes.items()}, on_holdout


def _score(pool: Pool, votes: dict[int, int]) -> float:
    voted = hard_vote(pool.predictions[list(votes)], pool.num_classes, list(votes.values()))
    return miou(confusion_matrix(voted, pool.target, pool.num_classes))
