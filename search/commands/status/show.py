"""The status of a study as people read it: one sentence, the trials that train, the best ones, the GPUs."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from search.commands.status.status import PAUSED, StudyStatus, TrialStatus
from search.report.console import PlainTable
from search.report.durations import counted, duration
from search.screen.running_table import Row, RunningTable
from search.screen.sparkline import sparkline

BEST = 5
QUIET_S = 1800  # seconds without news of any trial, after which the status says so
CURVE = 10  # characters


def show_status(status: StudyStatus) -> Group:
    """Return what is printed; it fits 80 columns."""
    parts = [Text(sentence(status))]
    if status.unfinished:
        parts.append(_training(status))
    ranked = sorted((trial for trial in status.trials if trial.best is not None), key=lambda trial: -trial.best)
    if ranked:
        parts.append(_best(ranked[:BEST]))
    parts += [Text(gpu) for gpu in status.gpus]
    return Group(*parts)


def sentence(status: StudyStatus) -> str:
    """Return how far the study is, its best score so far, that of its vote, and how long it still takes."""
    of = f" of {status.total}" if status.total is not None else ""
    kinds = ", ".join(f"{status.counts[kind]} {kind}" for kind in ("completed", "stopped", "failed"))
    words = f"{status.name}: {status.ended}{of} trials ended ({kinds})"
    if status.counts[PAUSED]:
        words += f", {counted(status.counts[PAUSED], 'more is', 'more are')} paused"
    if status.best:
        words += f"; best mIoU {status.best.best:.4f} (trial {status.best.number})"
    if status.vote is not None:
        words += f", vote {status.vote:.4f}"
    left = status.seconds_left
    if status.unfinished or (status.total or 0) > len(status.trials):
        if status.alive is False:
            return f"{words}. No process runs it: the same command with --resume --name {status.name} goes on with it."
        words += f"; about {duration(left)} left" if left is not None else "; time left not known yet"
    if status.ended < len(status.trials) and status.quiet_s is not None and status.quiet_s > QUIET_S:
        words += f". Nothing was heard of it for {duration(status.quiet_s)}: is it still running?"
        return words
    return f"{words}."


def _training(status: StudyStatus) -> RunningTable:
    rows = [Row.of(trial, status.seconds_left_of(trial)) for trial in status.unfinished]
    return RunningTable(f"Not ended: {len(rows)}", rows, status.rungs)


def _best(trials: Sequence[TrialStatus]) -> PlainTable:
    table = PlainTable(
        "The best so far", ">trial", ">mIoU", ">epochs", "curve", "status", "configuration", pad_edge=False
    )
    for trial in trials:
        curve = sparkline(trial.scores, CURVE)
        table.add_row(str(trial.number), f"{trial.best:.4f}", str(trial.epoch), curve, trial.status, trial.label)
    return table
