"""The status of a study as people read it: one sentence, the trials that train, the best ones, the GPUs."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from search.report.gpus import Gpu
from search.report.plain import PlainTable
from search.report.progress import duration
from search.report.sparkline import sparkline
from search.status.status import StudyStatus, TrialStatus

SHOWN = 20  # trials that train
BEST = 5
QUIET_S = 1800  # without the end of an epoch, after which it is said
CURVE = 10  # characters


def show_status(status: StudyStatus, gpus: Sequence[Gpu] = ()) -> Group:
    """Return what is printed; it fits 80 columns."""
    parts = [Text(sentence(status))]
    if status.unfinished:
        parts.append(_training(status))
    ranked = sorted((trial for trial in status.trials if trial.best is not None), key=lambda trial: -trial.best)
    if ranked:
        parts.append(_best(ranked[:BEST]))
    parts += [Text(str(gpu)) for gpu in gpus]
    return Group(*parts)


def sentence(status: StudyStatus) -> str:
    """Return how far the study is, its best score so far and its vote's, and how long it takes still."""
    of = f" of {status.total}" if status.total is not None else ""
    kinds = ", ".join(f"{status.counts[kind]} {kind}" for kind in ("completed", "stopped", "failed"))
    words = f"{status.name}: {status.ended}{of} trials ended ({kinds})"
    if status.best:
        words += f"; best mIoU {status.best.best:.4f} (trial {status.best.number})"
    if status.vote is not None:
        words += f", vote {status.vote:.4f}"
    left = status.seconds_left
    if status.unfinished or (status.total or 0) > len(status.trials):
        words += f"; about {duration(left)} left" if left is not None else "; time left not known yet"
    if status.unfinished and status.quiet_s is not None and status.quiet_s > QUIET_S:
        words += f". No epoch has ended for {duration(status.quiet_s)}: is it still running?"
        return words
    return f"{words}."


def _training(status: StudyStatus) -> PlainTable:
    title = f"Not ended: {len(status.unfinished)}"
    headings = (">trial", ">epoch", ">rung", ">mIoU", "curve", ">left", "configuration")
    table = PlainTable(title, *headings, expand=False)
    for trial in status.unfinished[:SHOWN]:
        left = trial.seconds_left(status.now)
        passed = [rung for rung in status.rungs if rung <= trial.epoch]
        table.add_row(
            str(trial.number),
            f"{trial.epoch}/{trial.epochs}",
            str(passed[-1]) if passed else "–",
            f"{trial.scores[-1]:.4f}" if trial.scores else "–",
            sparkline(trial.scores, CURVE),
            duration(left) if left is not None else "–",
            trial.label,
        )
    return table


def _best(trials: Sequence[TrialStatus]) -> PlainTable:
    table = PlainTable(
        "The best so far", ">trial", ">mIoU", ">epochs", "curve", "ended", "configuration", pad_edge=False
    )
    for trial in trials:
        curve = sparkline(trial.scores, CURVE)
        table.add_row(str(trial.number), f"{trial.best:.4f}", str(trial.epoch), curve, trial.status, trial.label)
    return table
