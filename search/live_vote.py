"""The vote while a search runs: what the trials that have ended would score together."""

from dataclasses import dataclass

import numpy as np

from ensembling import read_predictions, select_ensemble
from search.study import Study
from trainables.trial_files import TrialFiles

# A vote on these takes less than a second; every n-th pixel stands for all where there are more.
MOST_PIXELS = 1 << 20
MOST_TRIALS = 48


@dataclass(frozen=True, eq=False)
class _Ended:
    """A trial's best score, whether it reached the last rung, and a sample of its class maps, uint8 (pixels,)."""

    number: int
    score: float
    far: bool
    pixels: np.ndarray


class LiveVote:
    """Keeps a sample of the best trials' class maps in memory, so that one more trial costs reading its own alone."""

    def __init__(self, study: Study, last_rung: int) -> None:
        self._study, self._last_rung = study, last_rung
        self._target = np.empty(0, np.uint8)
        self._stride = 0  # of the sample; not known before the first trial has ended
        self._seen: set[int] = set()
        self._ended: dict[int, _Ended] = {}

    def metrics(self) -> dict[str, float]:
        """`vote_miou` of the selected vote, of the trials that would be candidates now; none without any.

        None in a refit either: who votes there is chosen already.

        Looks for trials that have ended since, and reads their predictions. Raises OSError or PredictionsError where
        they cannot be read.
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
        return {"vote_miou": select_ensemble(rows, self._target, self._study.data.num_classes).miou}

    def _read(self, files: TrialFiles) -> None:
        if files.predictions.exists():
            scores = [record["holdout/miou"] for record in files.records()]
            pixels = self._sample(read_predictions(files.predictions).pixels)
            self._ended[files.number] = _Ended(files.number, max(scores), len(scores) >= self._last_rung, pixels)
        self._seen.add(files.number)
        if len(self._ended) > MOST_TRIALS:
            worst = min(self._ended.values(), key=lambda trial: (trial.far, trial.score, -trial.number))
            del self._ended[worst.number]

    def _sample(self, pixels: np.ndarray) -> np.ndarray:
        if not self._stride:
            target = read_predictions(self._study.target_file).pixels
            self._stride = -(-target.size // MOST_PIXELS)
            self._target = target[:: self._stride].copy()
        return pixels[:: self._stride].copy()
