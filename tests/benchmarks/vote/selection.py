"""Choosing 12 of 64 candidates: time in units of one read of all maps, bytes, and against plain and careful NumPy.

F is the time in which NumPy reads the bytes of all candidates and pixels once, at its fastest (bitwise_or.reduce of
words). Plain NumPy votes anew for every candidate and step and takes a confusion matrix; careful NumPy keeps the votes
of each class, adds one, takes argmax and one bincount. Both are timed on one candidate in a middle step.

What the machine itself gains by a second core is told by two processes that do all of it on one thread each, at once:
"of 2 processes" is their work in the time of one alone.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling.counting import VoteTable, build_table
from ensembling.selection.ensemble_selection import add_greedily
from ensembling.selection.select_ensemble import rank_candidates
from tests.benchmarks.vote.pools import Pool, make_pool

CANDIDATES, MEMBERS, CLASSES = 64, 12, 11


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=30, help="images of 512 x 512 pixels")
    parser.add_argument("--rounds", type=int, default=5, help="the fastest of how many is printed")


def run(options: argparse.Namespace, console: Console) -> None:
    pool = make_pool(0, CANDIDATES, options.images, (512, 512), CLASSES)
    _select(make_pool(1, CANDIDATES, 1, (64, 64), CLASSES), 1)  # compiles
    words = pool.predictions.reshape(-1).view(np.uint64)
    reads, ones, twos, besides = [], [], [], []
    # Forked, so that both see this memory, before any thread is begun.
    with ProcessPoolExecutor(2, get_context("fork"), initializer=_inherit, initargs=(pool,)) as processes:
        list(processes.map(_select_inherited, range(2)))
        for _ in range(options.rounds):  # all in turn, since machines have slow and fast minutes
            reads.append(_seconds(lambda: np.bitwise_or.reduce(words)))
            table, seconds = _select(pool, 1)
            ones.append(seconds)
            twos.append(_select(pool, 2)[1])
            besides += processes.map(_select_inherited, range(2))
    read, one, two, beside = min(reads), _fastest(ones), _fastest(twos), _fastest(besides)
    bytes_sum = _seconds(pool.predictions.sum)
    console.print(
        f"{CANDIDATES} candidates x {pool.target.size / 1e6:.2f} M pixels, "
        f"{1 - table.disputed / pool.target.size:.1%} unanimous; "
        f"F = {read * 1e3:.1f} ms (np.sum of the same bytes: {bytes_sum / read:.1f} F)"
    )
    console.print(_times_table(read, one, two, beside))
    gains = [one_round["all"] / two_round["all"] for one_round, two_round in zip(ones, twos, strict=True)]
    console.print(
        f"all, round by round: two threads are {', '.join(f'{gain:.2f}' for gain in gains)} times as fast "
        f"(median {np.median(gains):.2f})"
    )
    step = one["greedy"] / ((MEMBERS - 1) * CANDIDATES)
    plain, careful = _plain_numpy(pool), _careful_numpy(pool)
    console.print(
        f"{table.nbytes / table.disputed:.1f} bytes per disputed pixel; per candidate and step {step * 1e6:.1f} us: "
        f"plain NumPy takes {plain / step:,.0f} times as long, careful NumPy {careful / step:,.0f} times"
    )


def _select(pool: Pool, threads: int) -> tuple[VoteTable, dict[str, float]]:
    rows = list(pool.predictions)
    marks = [time.perf_counter()]
    table = build_table(rows, pool.target, CLASSES, threads=threads)
    marks.append(time.perf_counter())
    table = rank_candidates(table)
    marks.append(time.perf_counter())
    add_greedily(table, [0], MEMBERS, range(CANDIDATES))
    marks.append(time.perf_counter())
    build, rank, greedy = np.diff(marks)
    return table, {"build": build, "rank": rank, "greedy": greedy, "all": marks[-1] - marks[0]}


_inherited: list[Pool] = []


def _inherit(pool: Pool) -> None:
    _inherited.append(pool)


def _select_inherited(_: int) -> dict[str, float]:
    return _select(_inherited[0], 1)[1]


def _fastest(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: min(seconds[key] for seconds in rounds) for key in rounds[0]}


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _times_table(read: float, one: dict[str, float], two: dict[str, float], beside: dict[str, float]) -> Table:
    shown = Table("", "ms, 1 thread", "F, 1 thread", "ms, 2 threads", "F, 2 threads", "gain of 2", "of 2 processes")
    names = {"build": "table", "rank": "ranking", "greedy": "greedy to 12", "all": "all, from memory"}
    for key, name in names.items():
        cells = [f"{one[key] * 1e3:.0f}", f"{one[key] / read:.2f}", f"{two[key] * 1e3:.0f}", f"{two[key] / read:.2f}"]
        shown.add_row(name, *cells, f"{one[key] / two[key]:.2f}", f"{2 * one[key] / beside[key]:.2f}")
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

    return _seconds(score)


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

    return _seconds(score)
