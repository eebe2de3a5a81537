"""SegmentationTrainable: a trial in the form that Ray Tune needs. No other file of the package imports ray.

The driver imports it, too, to tell Ray of the class. Only the trials' processes need PyTorch, so that it is imported
where a trial begins.
"""

import logging
import os
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
from filelock import FileLock
from ray import tune
from ray.exceptions import RayError

from trainables.config import TrialConfig
from trainables.errors import NodeError
from trainables.hardware.full_disk import describe_full_disk
from trainables.study_data import OBJECTIVE, StudyData
from trainables.trial.files import TrialFiles

if TYPE_CHECKING:
    from trainables.trial.trial import Trial

# Workers outlive a driver that is killed by some seconds: a resumed trial waits for the end of an epoch in progress.
LOCK_TIMEOUT_S = 300
WORST = 0.0  # the objective of a failed trial, since samplers and schedulers refuse NaN


class SegmentationTrainable(tune.Trainable):
    """A trial for Ray Tune, one epoch of which is one `step`.

    `config` is {"number": int, "params": dict}; all other arguments are the same for all trials. Tune's own checkpoints
    are not used: the trial's files (TrialFiles) are written before an epoch is reported, so that a trial resumes after
    the last epoch that was trained rather than after the last one that Tune recorded.
    """

    def setup(self, config: dict[str, Any], *, study: StudyData, trials_dir: str, cpus: int, gpus: float) -> None:
        self._study, self._trials_dir, self._cpus = study, Path(trials_dir), cpus
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray does not hide the GPUs from a trial that asked for none
        import torch

        torch.set_num_threads(cpus)
        cv2.setNumThreads(0)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch and return its result.

        An error of the configuration ends the trial for good. An error of the machine is raised: Tune then starts the
        trial again in another process, and where that fails too, resuming the study does.

        The trial's files are locked for as long as an epoch takes and no longer: a trial that is paused may go on in
        another process while this one waits for its next trial.
        """
        with self._lock:
            return self._step()

    def _step(self) -> dict[str, Any]:
        try:
            return self._next_epoch()
        except Exception as error:
            from trainables.hardware.machine_faults import is_machines_fault

            if not (isinstance(error, RayError) or is_machines_fault(error)):
                return self._failed(error)
            known = isinstance(error, NodeError)  # its message needs no traceback
            self._log.error("trial %d: %s", self._files.number, error, exc_info=not known)
            full = describe_full_disk(error, [self._trials_dir, self._study.cache_dir, tempfile.gettempdir()])
            if full:
                raise NodeError(f"{full}, then resume the study with --resume") from error
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
        self._log_handler = _log_to(self._files.log)
        self._params = config["params"]
        self._trial: Trial | None = None

    def _end(self) -> None:
        """Free the model and the log of the trial before, because one process trains several trials."""
        self._trial = None
        if getattr(self, "_log_handler", None):
            logging.getLogger("trainables").removeHandler(self._log_handler)
            self._log_handler.close()
            self._log_handler = None
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _next_epoch(self) -> dict[str, Any]:
        if self._trial is None:
            from trainables.trial.trial import Trial

            config = TrialConfig.from_dict(self._params)
            self._trial = Trial(config, self._study, self._files, loader_workers=self._loader_workers())
        record = self._trial.next_epoch()
        # The record is sent separately too: Tune adds keys to a result, and the files may reach the driver later.
        return {**record, "record": record, "done": self._trial.finished}

    def _loader_workers(self) -> int:
        import torch

        # Where the CPU trains, loader processes would compete with training for its cores.
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
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("trainables")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler
