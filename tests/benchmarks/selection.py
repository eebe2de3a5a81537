"""Choosing 12 of 64 candidates: time in units of one read of all maps, bytes, and against plain and careful NumPy.

F is the time in which NumPy reads the bytes of all candidates and pixels once, at its fastest (bitwise_or.reduce of
words). Plain NumPy votes anew for every candidate and step and takes a confusion matrix; careful NumPy keeps the votes
of each class, adds one, takes argmax and one bincount. Both are timed on one candidate in a middle step.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling.search_modes import grow, rank_by_score
from ensembling.selection import own_scores
from ensembling.table import VoteTable, build_table
from tests.benchmarks.pools import Pool, make_pool

CANDIDATES, MEMBERS, CLASSES = 64, 12, 11


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=30, help="images of 512 x 512 pixels")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest of how many is printed")


def run(options: argparse.Namespace, console: Console) -> None:
    pool = make_pool(0, CANDIDATES, options.images, (512, 512), CLASSES)
    _select(make_pool(1, CANDIDATES, 1, (64, 64), CLASSES), 1, 1)  # compiles
    words = pool.predictions.reshape(-1).view(np.uint64)
    read, _ = _fastest(lambda: np.bitwise_or.reduce(words), options.rounds)
    bytes_sum, _ = _fastest(pool.predictions.sum, 1)
    results = {threads: _select(pool, threads, options.rounds) for threads in (1, 2)}
    table, seconds = results[1]
    disputed = table.disputed / pool.target.size
    console.print(
        f"{CANDIDATES} candidates x {pool.target.size / 1e6:.2f} M pixels, {1 - disputed:.1%} unanimous; "
        f"F = {read * 1e3:.1f} ms (np.sum of the same bytes: {bytes_sum / read:.1f} F)"
    )
    console.print(_times_table(read, {threads: times for threads, (_, times) in results.items()}))
    step = seconds["greedy"] / ((MEMBERS - 1) * CANDIDATES)
    plain, careful = _plain_numpy(pool), _careful_numpy(pool)
    console.print(
        f"{table.nbytes / table.disputed:.1f} bytes per disputed pixel; per candidate and step {step * 1e6:.1f} us: "
        f"plain NumPy takes {plain / step:,.0f} times as long, careful NumPy {careful / step:,.0f} times"
    )


def _fastest(function: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def _select(pool: Pool, threads: int, rounds: int) -> tuple[VoteTable, dict[str, float]]:
    rows = list(pool.predictions)
    build, table = _fastest(lambda: build_table(rows, pool.target, CLASSES, threads=threads), rounds)
    own, scores = _fastest(lambda: own_scores(table, [0]), rounds)
    rerank, _ = _fastest(lambda: table.rerank(rank_by_score(scores)), 1)
    greedy, _ = _fastest(lambda: grow(table, [0], [0], MEMBERS, range(CANDIDATES)), rounds)
    return table, {"build": build, "rank": own + rerank, "greedy": greedy, "all": build + own + rerank + greedy}


def _times_table(read: float, times: dict[int, dict[str, float]]) -> Table:
    shown = Table("", "ms, 1 thread", "F, 1 thread", "ms, 2 threads", "F, 2 threads", "gain of 2")
    names = {"build": "table", "rank": "ranking", "greedy": "greedy to 12", "all": "all, from memory"}
    for key, name in names.items():
        one, two = times[1][key], times[2][key]
        cells = (f"{one * 1e3:.0f}", f"{one / read:.2f}", f"{two * 1e3:.0f}", f"{two / read:.2f}", f"{one / two:.2f}")
        shown.add_row(name, *cells)
    return shown


def _plain_numpy(pool: Pool, members: int = 6) -> float:
    """Seconds for one candidate in a middle step: all votes counted anew, ties by rank, confusion matrix."""
    rows, target = pool.predictions[: members + 1], pool.target

    def score() -> np.ndarray:
        votes = np.stack([(rows == class_id).sum(axis=0) for class_id in range(CLASSES)])
        tied = votes == votes.max(axis=0)
        choice = np.zeros(target.size, np.uint8)
        for row in rows[::-1]:
            choice = np.where(np.take_along_axis(tied, row[None].astype(np.intp), axis=0)[0], row, choice)
        return np.bincount(target.astype(np.intp) * CLASSES + choice, minlength=CLASSES**2)

    return _fastest(score, 1)[0]


def _careful_numpy(pool: Pool, members: int = 6) -> float:
    """Seconds for one candidate in a middle step: votes kept (class-minor, scaled so that rank breaks ties)."""
    rows, target = pool.predictions, pool.target
    votes = np.zeros((target.size, CLASSES), np.int16)
    pixels = np.arange(target.size)
    for rank, row in enumerate(rows[:members]):
        # 64 a vote; the best voter of a class adds 63 - rank, so that argmax breaks ties as the rule does.
        votes[pixels, row] += np.where(votes[pixels, row] == 0, 64 + 63 - rank, 64).astype(np.int16)
    offset = target.astype(np.intp) * CLASSES

    def score() -> np.ndarray:
        votes[pixels, rows[members]] += 64
        winner = votes.argmax(axis=1)
        counts = np.bincount(offset + winner, minlength=CLASSES**2)
        votes[pixels, rows[members]] -= 64
        return counts

    return _fastest(score, 1)[0]
