"""The vote while a search runs: what the trials that have ended would score together."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ensembling import PredictionsError, read_predictions, select_ensemble
from ensembling.runs.eligible import eligible
from search.study.study import Study
from trainables.errors import UserError
from trainables.study_data import OBJECTIVE
from trainables.trial.files import TrialFiles

log = logging.getLogger(__name__)

MOST_TRIALS = 48
MOST_PIXELS = 1 << 20  # that are kept in memory; where there are more, every n-th is kept
# The time of a selection grows with the pixels times the square of the trials. Where all trials differ, so many take
# about a second of one core.
MOST_WORK = MOST_PIXELS * 24**2


@dataclass(frozen=True, eq=False)
class _Ended:
    """A trial's scores, whether it reached the last rung, and a sample of its class maps, uint8 (pixels,)."""

    number: int
    score: float
    last_score: float
    reached_last_rung: bool
    pixels: np.ndarray


class LiveVote:
    """Keeps a sample of the best trials' class maps in memory, so that one more trial costs reading its own alone."""

    def __init__(
        self,
        study: Study,
        last_rung: int,
        *,
        max_members: int = 15,
        include_stopped: bool = False,
        wait_for_kernels: Callable[[], None] | None = None,
    ) -> None:
        self._study, self._last_rung = study, last_rung
        self._max_members, self._include_stopped = max_members, include_stopped
        self._wait_for_kernels = wait_for_kernels
        self._target = np.empty(0, np.uint8)
        self._stride = 0  # of the sample; not known before the first trial has ended
        self._begun = False  # whether the trials that had ended before the first call were read
        self._ended: dict[int, _Ended] = {}
        self._voted: list[int] = []  # the trials among which members were chosen last
        self._miou = 0.0  # of their vote

    def metrics_after(self, *numbers: int) -> dict[str, float]:
        """Return `vote_miou`, the score of the vote that would be selected now that these trials have ended as well.

        Candidates are the trials that would be those of the study's own selection. The result is empty where there is
        no candidate, and in a refit, whose members are chosen already.

        The first call reads the predictions of all trials that have ended, and each other those of `numbers` alone. A
        trial whose file cannot be read is left out, with a warning. Raises OSError or PredictionsError where the
        holdout's masks cannot be read.
        """
        if self._study.data.keep_last:
            return {}
        if self._wait_for_kernels:
            self._wait_for_kernels()
        self._learn_stride()
        for files in map(self._study.trial_files, numbers) if self._begun else self._study.trials():
            if files.verdict.exists():
                self._read(files)
        self._begun = True
        voters = self._voters()
        if not voters:
            return {}
        numbers = [trial.number for trial in voters]
        if numbers != self._voted:  # most trials are stopped early, and change nothing
            self._voted, self._miou = numbers, self._select(voters)
        return {"vote_miou": self._miou}

    def _voters(self) -> list[_Ended]:
        ended = sorted(self._ended.values(), key=lambda trial: trial.number)
        if self._include_stopped:
            return ended
        may_vote = eligible([trial.last_score for trial in ended], [trial.reached_last_rung for trial in ended])
        return [trial for trial, may in zip(ended, may_vote) if may]

    def _select(self, voters: list[_Ended]) -> float:
        step = -(-self._target.size * len(voters) ** 2 // MOST_WORK)
        rows = [np.ascontiguousarray(trial.pixels[::step]) for trial in voters]
        problem = (rows, self._target[::step].copy(), self._study.data.num_classes)
        return select_ensemble(*problem, max_members=self._max_members).miou

    def _read(self, files: TrialFiles) -> None:
        try:
            # One that failed after it had been cut off has predictions from then.
            if not files.predictions.exists() or files.read_verdict()["status"] == "failed":
                return
            pixels = read_predictions(files.predictions).pixels[:: self._stride].copy()
            scores = [record[OBJECTIVE] for record in files.records()]
        except (OSError, PredictionsError, UserError) as error:
            log.warning("vote_miou goes without trial %d: %s", files.number, error)
            return
        reached = self._include_stopped or len(scores) >= self._last_rung
        self._ended[files.number] = _Ended(files.number, max(scores), scores[-1], reached, pixels)
        if len(self._ended) > MOST_TRIALS:
            worst = min(self._ended.values(), key=lambda trial: (trial.reached_last_rung, trial.score, -trial.number))
            del self._ended[worst.number]

    def _learn_stride(self) -> None:
        if not self._stride:
            target = read_predictions(self._study.target_file).pixels
            self._stride = -(-target.size // MOST_PIXELS)
            self._target = target[:: self._stride].copy()
