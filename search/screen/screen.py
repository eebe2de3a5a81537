"""Screen: a Progress as a live table on a terminal, and as plain lines elsewhere."""

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from search.report.console import say
from search.report.durations import counted, duration
from search.screen.gpus import Gpu, read_gpus
from search.screen.progress import Progress, TrialProgress
from search.screen.running_table import Row, RunningTable, step_of
from trainables.trial.running_epoch import RunningEpoch

GPUS_EVERY_S = 5
LINE_EVERY_S = 60  # without a terminal, where no epoch ended for so long
LINE_TRIALS = 3  # of which such a line tells


class Screen:
    """The display of a Progress, to be used as a context manager.

    At the end the live table is taken down, unless trials are still running: then somebody stopped the search, and the
    table stays as it was.
    """

    def __init__(self, progress: Progress, console: Console, name: str) -> None:
        self.progress, self.console, self.name = progress, console, name
        self._live: Live | None = None
        self._gpus_asked, self._known_gpus = float("-inf"), []
        self._opened = progress.clock()
        self._said: float | None = None  # when the last plain line was printed, by the study's clock

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live:
            self._live.transient = not self.progress.running
            self._live.stop()
            self._live = None

    def epoch(self, number: int) -> None:
        """Say without a terminal that an epoch of the trial has ended."""
        trial = self.progress.trials[number]
        if not self._live:
            miou = f"  mIoU {trial.miou:.4f}" if trial.miou is not None else ""
            loss = f"  loss {trial.loss:.3f}" if trial.loss is not None else ""
            self._say(f"trial {number:>3}  epoch {trial.epoch}/{trial.epochs}{miou}{loss}  ({trial.label})")

    def within_epochs(self) -> None:
        """Say without a terminal how far the epochs in progress are.

        That is one line when the first trial has a loss, and then one whenever nothing was said for LINE_EVERY_S. As
        long as no trial has trained a step, such a line says what they wait for.
        """
        if self._live:
            return
        epochs = [(trial, trial.running) for trial in self.progress.running]  # which another thread changes meanwhile
        known = [(trial, epoch) for trial, epoch in epochs if epoch and epoch.loss is not None]
        quiet = self.progress.clock() - (self._opened if self._said is None else self._said) >= LINE_EVERY_S
        if known and (self._said is None or quiet):
            left = self.progress.seconds_left()
            more = f"; {len(known) - LINE_TRIALS} more train" if len(known) > LINE_TRIALS else ""
            rest = f"; about {duration(left)} left for the study" if left is not None else ""
            self._say("; ".join(self._in_progress(*one) for one in known[:LINE_TRIALS]) + more + rest)
        elif quiet and not known and not self.progress.epochs_trained:
            self._say(self._waits_for())

    def _waits_for(self) -> str:
        """Return what keeps trials from training, as long as this command has not trained an epoch."""
        running = len(self.progress.running)
        if not running:  # those of a resumed study may have begun, and others may have failed
            return "No trial is running: Ray is starting processes, or is waiting for machines that have room"
        begun = counted(running, "trial has", "trials have")
        return f"{begun} begun and not trained a step yet: libraries, weights and data are being loaded"

    def _in_progress(self, trial: TrialProgress, running: RunningEpoch) -> str:
        left = duration(trial.seconds_left(self.progress.clock()))
        what = step_of(running)
        step = what if what == "scoring" else f"step {what}"
        epoch = f"epoch {running.epoch}/{trial.epochs}"
        return f"trial {trial.number:>3}  in {epoch}: {step}, loss {running.loss:.3f}, about {left} left"

    def ended(self, number: int, note: str = "") -> None:
        """Print a line on the trial's end, which stays above the live table."""
        trial = self.progress.trials[number]
        kept = self.progress.kept
        score = f", {kept} mIoU {trial.best:.4f}" if trial.best is not None else ", no score" if kept else ""
        epochs = counted(trial.epoch, "epoch", "epochs")
        text = f"trial {number:>3}  {trial.status} after {epochs}{score}{f': {note}' if note else ''}"
        self._say(text, style="red" if trial.status == "failed" else "")
        if not self._live:
            self._say(self._summary())

    def warn(self, text: str) -> None:
        """Print what went wrong and does not end the study."""
        self._say(text, style="yellow")

    def _say(self, text: str, style: str = "") -> None:
        self._said = self.progress.clock()
        say(self.console, text, style=style)

    def _summary(self) -> str:
        progress = self.progress
        leader = progress.best
        if progress.started is None:
            return self._waits_for()
        best = f"best {leader.best:.4f} (trial {leader.number}); " if leader else "no score yet; "
        if progress.vote is not None:
            best += f"vote {progress.vote:.4f}; "
        if progress.kept != "best":  # nobody is looking for the best one
            best = ""
        left, paused = progress.seconds_left(), progress.count("paused")
        waiting = f", {counted(paused, 'more is', 'more are')} paused" if paused else ""
        return (
            f"{progress.ended}/{progress.total} trials ended ({progress.count('completed')} completed, "
            f"{progress.count('stopped')} stopped, {progress.count('failed')} failed){waiting}; {best}"
            + ("time left not known yet" if left is None else f"about {duration(left)} left")
        )

    def _render(self) -> Group:
        progress = self.progress
        rows = [Row.of(trial, trial.seconds_left(progress.clock())) for trial in progress.running]
        table = RunningTable(self.name, rows, progress.rungs, progress.kept or "score")
        return Group(table, Text(self._summary()), *(Text(str(gpu)) for gpu in self.gpus()))

    def gpus(self) -> list[Gpu]:
        """Return what this machine's GPUs do, asked for every few seconds: the table is drawn more often."""
        now = time.monotonic()
        if now - self._gpus_asked > GPUS_EVERY_S:
            self._gpus_asked, self._known_gpus = now, read_gpus()
        return self._known_gpus
