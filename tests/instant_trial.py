"""A trial that trains nothing: it reports its epochs at once, with made scores and class maps."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune

from trainables.config import TrialConfig
from trainables.files import write_json, write_text
from trainables.study_data import OBJECTIVE, StudyData
from trainables.trial.files import TrialFiles


class InstantTrial(tune.Trainable):
    """A trial in the place of SegmentationTrainable whose epochs take no time."""

    def setup(self, config: dict[str, Any], *, study: StudyData, trials_dir: str, **_: Any) -> None:
        self._study, self._trials_dir = study, Path(trials_dir)
        self._pixels = study.holdout_pixels(study.open((48, 32)))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._number, self._params, self._epoch = new_config["number"], new_config["params"], 0
        self._files = TrialFiles(self._trials_dir / f"{self._number:04d}")
        write_json(self._files.config, TrialConfig.from_dict(self._params).to_dict())
        write_text(self._files.log, "it trains nothing\n")
        rng = np.random.default_rng(self._number)
        np.save(self._files.best_maps, rng.integers(0, self._study.num_classes, self._pixels, dtype=np.uint8))
        self._level = 0.5 - 0.05 * abs(np.log10(self._params["lr"]) + 3) + rng.normal(0, 0.02)
        return True

    def step(self) -> dict[str, Any]:
        self._epoch += 1
        score = float(self._level * (1 - 0.5**self._epoch))
        record = {"epoch": self._epoch, "train/loss": 1 - score, OBJECTIVE: score, "epoch_s": 0.0, "time": time.time()}
        self._files.append_record(record)
        return {**record, "record": record, "done": self._epoch == self._params["epochs"]}
