"""SegmentationTrainable: a Trial as Ray Tune wants it. This is the only file of the package that imports ray."""

import logging
import os
import tempfile
import traceback
from pathlib import Path
from typing import Any

import cv2
import torch
from filelock import FileLock
from ray import tune
from ray.exceptions import RayError

from trainables.config import TrialConfig
from trainables.errors import NodeError
from trainables.hardware.full_disk import describe_full_disk
from trainables.hardware.machine_faults import is_machines_fault
from trainables.study_data import OBJECTIVE, StudyData
from trainables.trial.files import TrialFiles
from trainables.trial.trial import Trial

# Workers outlive a driver that is killed by some seconds: a resumed trial waits for the one before to be gone.
LOCK_TIMEOUT_S = 300
WORST = 0.0  # of the objective; a trial that failed reports it, since samplers and schedulers refuse NaN


class SegmentationTrainable(tune.Trainable):
    """One `step` is one epoch. `config` is {"number": int, "params": dict}, the rest is the same for all trials.

    Tune's own checkpoints are not used: the trial's ledger (TrialFiles) is written before an epoch is reported, so that
    what comes back after any death is the last epoch that was trained, not the last one that a snapshot speaks of.
    """

    def setup(self, config: dict[str, Any], *, study: StudyData, trials_dir: str, cpus: int, gpus: float) -> None:
        self._study, self._trials_dir, self._cpus = study, Path(trials_dir), cpus
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves them in sight of who asked for none
        torch.set_num_threads(cpus)
        cv2.setNumThreads(0)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch. What its configuration raises ends the trial for good; the machine's faults are raised.

        Tune then starts the trial again in another process, and a resumed study does where that fails, too.
        """
        try:
            return self._next_epoch()
        except Exception as error:
            if not (isinstance(error, RayError) or is_machines_fault(error)):
                return self._failed(error)
            known = isinstance(error, NodeError)  # its message says everything
            self._log.error("trial %d: %s", self._files.number, error, exc_info=not known)
            full = describe_full_disk(error, [self._trials_dir, self._study.cache_dir, tempfile.gettempdir()])
            if full:
                raise NodeError(f"{full}, and go on by --resume") from error
            raise

    def cleanup(self) -> None:
        self._end()

    def _begin(self, config: dict[str, Any]) -> None:
        self._end()
        self._files = TrialFiles(self._trials_dir / f"{config['number']:04d}")
        if not self._files.directory.exists():
            raise FileNotFoundError(
                f"{self._files.directory} is not there on {os.uname().nodename}: "
                "put --runs-dir on a file system that every node mounts at the same path"
            )
        self._lock = FileLock(self._files.lock, timeout=LOCK_TIMEOUT_S)
        self._lock.acquire()
        self._log_handler = _log_to(self._files.log)
        self._params = config["params"]
        self._trial: Trial | None = None

    def _end(self) -> None:
        """Free the model of the trial before: the process goes on with the next one."""
        self._trial = None
        if getattr(self, "_lock", None):
            self._lock.release()
            self._lock = None
        if getattr(self, "_log_handler", None):
            logging.getLogger("trainables").removeHandler(self._log_handler)
            self._log_handler.close()
            self._log_handler = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _next_epoch(self) -> dict[str, Any]:
        if self._trial is None:
            config = TrialConfig.from_dict(self._params)
            self._trial = Trial(config, self._study, self._files, loader_workers=self._loader_workers())
        record = self._trial.next_epoch()
        # The record as such, too: Tune adds its bookkeeping to a result, and the ledger may reach the driver later.
        return {**record, "record": record, "done": self._trial.finished}

    def _loader_workers(self) -> int:
        # Where the CPU trains, loader processes would only take its cores away.
        return min(8, max(1, self._cpus - 1)) if torch.cuda.is_available() else 0

    def _failed(self, error: Exception) -> dict[str, Any]:
        self._log.error("trial %d failed: %s\n%s", self._files.number, error, traceback.format_exc())
        epoch = len(self._files.records())
        reason = (str(error).strip().splitlines() or ["no reason was given"])[0]
        return {"epoch": epoch, OBJECTIVE: WORST, "failure": f"{type(error).__name__}: {reason}", "done": True}

    @property
    def _log(self) -> logging.Logger:
        return logging.getLogger("trainables.ray_trainable")


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("trainables")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler
