"""What `segvote foresee` expects of photos whose truth is known, against "nothing changes": recorded pools.

Weights and widths are fitted on all designs but one and tried on that one, in turn; the final check is a drive that no
fit has seen. Differences are in points of mIoU, of the vote of what was selected on each holdout, mean over cases.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling.foresight import foresee as rule
from ensembling.foresight.evidence import counts_of, from_probit, probit
from ensembling.scores import miou_from_counts
from tests.benchmarks.recorded_shifts import Case, read_cases

RIDGE = 0.1  # probits squared
PERCENT = 100


@dataclass(frozen=True)
class Row:
    """A case in figures: probits of the score before and after, and what changed (see foresee.changes_of)."""

    case: Case
    before: float
    after: float
    changes: np.ndarray


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by-strength", action="store_true", help="a line for each strength of damage, too")


def run(options: argparse.Namespace, console: Console) -> None:
    started = time.monotonic()
    rows = [_row(case) for case in read_cases()]
    seconds = time.monotonic() - started
    console.print(
        f"{len(rows)} cases, {sum(row.case.final for row in rows)} of the final check; {seconds:.0f} s to read "
        "them, to select and to count",
        highlight=False,
    )
    foreseen, widths = _left_out(rows)
    console.print(_table(rows, foreseen, widths, by_strength=options.by_strength))
    chosen = [row for row in rows if not row.case.final]
    weights = _fit(chosen)
    console.print(
        f"fitted on all designs: weights {weights.round(2)} (in the rule: {rule.WEIGHTS}), half of the interval "
        f"{_widths(chosen, weights)} (in the rule: {rule.WIDTH_UNCHANGED} and {rule.WIDTH_PER_CHANGE})",
        highlight=False,
    )


def _row(case: Case) -> Row:
    before, after = (miou_from_counts(counts_of(one.confusions))[-1] for one in (case.holdout, case.photos))
    known = before if case.selected_miou is None else case.selected_miou
    changes = rule.changes_of(case.holdout, case.photos.counts)[-1]
    return Row(case, float(probit(known)), float(probit(after)), changes)


def _fit(rows: Iterable[Row]) -> np.ndarray:
    """Weights of the changes: least squares in probits, in which every kind of every design counts alike."""
    rows = list(rows)
    kinds = [(row.case.design, row.case.kind) for row in rows]
    weight = np.array([1 / kinds.count(kind) for kind in kinds])
    changes, moved = np.stack([row.changes for row in rows]), np.array([row.after - row.before for row in rows])
    square = changes.T @ (changes * weight[:, None]) + RIDGE * np.eye(changes.shape[1])
    return np.linalg.solve(square, changes.T @ (weight * moved))


def _widths(rows: Iterable[Row], weights: np.ndarray) -> tuple[float, float]:
    """The narrowest interval of the form rest + slope * change that holds nine of ten, kinds and designs alike."""
    rows = list(rows)
    change = np.array([abs(row.changes @ weights) for row in rows])
    error = np.array([abs(row.after - row.before - row.changes @ weights) for row in rows])
    kinds = [(row.case.design, row.case.kind) for row in rows]
    weight = np.array([1 / kinds.count(kind) for kind in kinds])
    best = None
    for slope in np.arange(0, 1.01, 0.05):
        order = np.argsort(error - slope * change)
        share = np.cumsum(weight[order]) / weight.sum()
        rest = max(0.02, float((error - slope * change)[order][np.searchsorted(share, rule.COVERAGE)]))
        mean = float(np.average(rest + slope * change, weights=weight))
        if best is None or mean < best[0]:
            best = mean, round(rest, 3), round(float(slope), 2)
    return best[1:]


def _left_out(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Of each case the expected probit and half of its interval, by what was fitted without its design or the final."""
    foreseen, halves = np.zeros(len(rows)), np.zeros(len(rows))
    groups = np.array(["final" if row.case.final else row.case.design for row in rows])
    for group in set(groups):
        others = [row for row, own in zip(rows, groups) if own not in (group, "final")]
        weights = _fit(others)
        rest, slope = _widths(others, weights)
        for place in np.flatnonzero(groups == group):
            change = rows[place].changes @ weights
            foreseen[place] = rows[place].before + change
            halves[place] = rest + slope * abs(change)
    return foreseen, halves


def _table(rows: list[Row], foreseen: np.ndarray, halves: np.ndarray, *, by_strength: bool) -> Table:
    table = Table("what differs", "cases")
    for column in (
        "truth moves by",
        "nothing changes, off by",
        "agreement alone",
        "confidence alone",
        "foreseen, off by",
    ):
        table.add_column(column, justify="right")
    table.add_column("90 % holds", justify="right")
    table.add_column("its width", justify="right")
    truth = from_probit([row.after for row in rows])
    before = from_probit([row.before for row in rows])
    alone = [
        from_probit([row.before + row.changes[place] for row in rows]) for place in range(2)
    ]  # of agreement and of confidence
    names = [_name(row.case, by_strength) for row in rows]
    low, high = from_probit(foreseen - halves), from_probit(foreseen + halves)
    groups = [*sorted(set(names)), "all but the final check", "the final check"]
    for name in groups:
        part = np.array(
            [
                own == name or (name == ("the final check" if row.case.final else "all but the final check"))
                for own, row in zip(names, rows)
            ]
        )
        if name == groups[-2]:
            table.add_section()
        off = [PERCENT * abs(one - truth)[part].mean() for one in (before, *alone, from_probit(foreseen))]
        table.add_row(
            name,
            str(part.sum()),
            f"{PERCENT * (truth - before)[part].mean():+.1f}",
            *(f"{one:.2f}" for one in off),
            f"{PERCENT * ((low <= truth) & (truth <= high))[part].mean():.0f} %",
            f"{PERCENT * (high - low)[part].mean():.1f}",
        )
    return table


def _name(case: Case, by_strength: bool) -> str:
    place = "final: " if case.final else ""
    place += "another data set, " if case.of_another_data_set else ""
    return f"{place}{case.kind}" + (f" {case.strength + 1}" if by_strength and case.kind != "other photos" else "")
