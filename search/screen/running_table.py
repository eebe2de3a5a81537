"""The table of the trials that train, which the screen of a search and `segvote status` show alike."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from search.report.console import PlainTable
from search.report.durations import short_duration
from search.screen.sparkline import sparkline
from trainables.trial.running_epoch import RunningEpoch

SHOWN = 20  # trials; a larger cluster's rest is counted
NARROW = 110  # columns below which no configuration has room beside the numbers
CURVE = 7  # characters
UNKNOWN = "–"


@dataclass(frozen=True)
class Row:
    """One trial that trains: its last epoch that ended, the epoch in progress, and its scores so far.

    `loss` is the training loss of the last epoch that ended, and `best` the score that counts for the trial.
    """

    number: int
    epoch: int
    epochs: int
    running: RunningEpoch | None
    loss: float | None
    scores: Sequence[float]
    best: float | None
    seconds_left: float | None
    label: str

    @classmethod
    def of(cls, trial: Any, seconds_left: float | None) -> "Row":
        """Return the row of a TrialProgress or a TrialStatus, which name their figures alike."""
        figures = {field.name: getattr(trial, field.name) for field in fields(cls) if field.name != "seconds_left"}
        return cls(**figures, seconds_left=seconds_left)


class RunningTable:
    """The table, in the width that there is; `kept` heads the column of the scores that count.

    On a narrow screen the configurations stand below the table, a line each, instead of in its last column.
    """

    def __init__(self, title: str, rows: Sequence[Row], rungs: Sequence[int], kept: str = "best") -> None:
        self._title, self._rows, self._rungs, self._kept = title, rows, rungs, kept

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        narrow, shown = options.max_width < NARROW, self._rows[:SHOWN]
        headings = [">trial", ">epoch", ">step", ">loss", ">mIoU", f">{self._kept}", "curve", ">rung", ">left"]
        headings += [] if narrow else ["configuration"]
        how = {"box": box.SIMPLE_HEAD, "pad_edge": False, "padding": (0, 1, 0, 0), "show_edge": False}
        table = PlainTable(self._title, *headings, expand=False, **how)
        for row in shown:
            table.add_row(*_cells(row, self._rungs), *([] if narrow else [row.label]))
        yield table
        if narrow:
            yield from (Text(f"{row.number:>5}  {row.label}") for row in shown)
        if len(self._rows) > SHOWN:
            yield Text(f"… and {len(self._rows) - SHOWN} more")


def _cells(row: Row, rungs: Sequence[int]) -> tuple[str, ...]:
    passed = [rung for rung in rungs if rung <= row.epoch]
    loss = row.running.loss if row.running and row.running.loss is not None else row.loss
    return (
        str(row.number),
        f"{row.epoch}/{row.epochs}",
        step_of(row.running),
        f"{loss:.3f}" if loss is not None else UNKNOWN,
        f"{row.scores[-1]:.4f}" if row.scores else UNKNOWN,
        f"{row.best:.4f}" if row.best is not None else UNKNOWN,
        sparkline(row.scores, CURVE),
        str(passed[-1]) if passed else UNKNOWN,
        short_duration(row.seconds_left),
    )


def step_of(running: RunningEpoch | None) -> str:
    """Return how far an epoch in progress is, as "12/40"; "scoring" after its last step."""
    if running is None:
        return UNKNOWN
    return f"{running.step}/{running.steps}" if running.step < running.steps else "scoring"
