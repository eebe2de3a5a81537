"""The vote while a search runs: what the trials that have ended would score together."""

import logging
from dataclasses import dataclass

import numpy as np

from ensembling import PredictionsError, read_predictions, select_ensemble
from search.study.study import Study
from trainables.trial.files import TrialFiles

log = logging.getLogger(__name__)

# A vote on these takes less than a second; every n-th pixel stands for all where there are more.
MOST_PIXELS = 1 << 20
MOST_TRIALS = 48


@dataclass(frozen=True, eq=False)
class _Ended:
    """A trial's best score, whether it came far enough to vote, and a sample of its class maps, uint8 (pixels,)."""

    number: int
    score: float
    far: bool
    pixels: np.ndarray


class LiveVote:
    """Keeps a sample of the best trials' class maps in memory, so that one more trial costs reading its own alone."""

    def __init__(self, study: Study, last_rung: int, *, max_members: int = 15, include_stopped: bool = False) -> None:
        self._study, self._last_rung = study, last_rung
        self._max_members, self._include_stopped = max_members, include_stopped
        self._target = np.empty(0, np.uint8)
        self._stride = 0  # of the sample; not known before the first trial has ended
        self._seen: set[int] = set()
        self._ended: dict[int, _Ended] = {}

    def metrics(self) -> dict[str, float]:
        """`vote_miou` of the selected vote, of the trials that would be candidates now; none without any.

        None in a refit either: who votes there is chosen already.

        Looks for trials that have ended since, and reads their predictions. A trial whose file cannot be read is left
        out, with a warning. Raises OSError or PredictionsError where the holdout's masks cannot be read.
        """
        if self._study.data.keep_last:
            return {}
        for files in self._study.trials():
            if files.number not in self._seen and files.verdict.exists():
                self._read(files)
        far = [trial for trial in self._ended.values() if trial.far]
        voters = sorted(far or self._ended.values(), key=lambda trial: trial.number)
        if not voters:
            return {}
        rows = [trial.pixels for trial in voters]
        problem = (rows, self._target, self._study.data.num_classes)
        return {"vote_miou": select_ensemble(*problem, max_members=self._max_members).miou}

    def _read(self, files: TrialFiles) -> None:
        self._learn_stride()
        self._seen.add(files.number)
        # One that failed after it had been cut off has predictions from then.
        if not files.predictions.exists() or files.read_verdict()["status"] == "failed":
            return
        try:
            pixels = read_predictions(files.predictions).pixels[:: self._stride].copy()
        except (OSError, PredictionsError) as error:
            log.warning("vote_miou goes without trial %d: %s", files.number, error)
            return
        scores = [record["holdout/miou"] for record in files.records()]
        far = self._include_stopped or len(scores) >= self._last_rung
        self._ended[files.number] = _Ended(files.number, max(scores), far, pixels)
        if len(self._ended) > MOST_TRIALS:
            worst = min(self._ended.values(), key=lambda trial: (trial.far, trial.score, -trial.number))
            del self._ended[worst.number]

    def _learn_stride(self) -> None:
        if not self._stride:
            target = read_predictions(self._study.target_file).pixels
            self._stride = -(-target.size // MOST_PIXELS)
            self._target = target[:: self._stride].copy()
