"""Trial: a Trainer that can be killed and resumed, because every finished epoch is recorded in TrialFiles."""

import logging
import os
from dataclasses import replace
from typing import Any

import numpy as np
import safetensors.torch

from trainables.config import TrialConfig
from trainables.data import PackedData
from trainables.errors import DamagedFileError, one_line
from trainables.files import replacing, write_json
from trainables.hardware.full_disk import take_room
from trainables.hardware.out_of_memory import is_out_of_memory
from trainables.study_data import OBJECTIVE, StudyData
from trainables.training import Trainer
from trainables.trial.files import TrialFiles
from trainables.trial.state import load_state, save_state

log = logging.getLogger(__name__)


class Trial:
    """A training run that trains one epoch per `next_epoch` and resumes after the last epoch recorded in `files`."""

    def __init__(self, config: TrialConfig, study: StudyData, files: TrialFiles, *, loader_workers: int = 0) -> None:
        self.config, self.study, self.files = config, study, files
        self._loader_workers = loader_workers
        self._trainer: Trainer | None = None
        self._records = files.records()
        write_json(files.config, config.to_dict())

    @property
    def finished(self) -> bool:
        return len(self._records) >= self.config.epochs

    def next_epoch(self) -> dict[str, Any]:
        """Train an epoch and return its record; where all epochs are trained already, return the last record again."""
        if self.finished:
            return self._records[-1]
        if self._trainer is None:
            self._trainer = Trainer(self._start(), self.study, loader_workers=self._loader_workers)
            recovered = self._resume(self._trainer)
            if recovered:
                return recovered
        return self._train(self._trainer)

    def _start(self) -> TrialConfig:
        """Return the configuration, without pretrained weights where the trial's own state replaces them."""
        if not self.files.state.exists():
            return self.config
        return replace(self.config, pretrained=False, init_from=None)

    def _resume(self, trainer: Trainer) -> dict[str, Any] | None:
        """Load the last state, and return its epoch's record if the process was killed before the record was written.

        Raises DamagedFileError where the state and the records do not belong together.
        """
        if not self.files.state.exists():
            self._records = []  # without its state a trial cannot be resumed: its epochs are trained again
            self.files.forget_epochs()
            return None
        state = load_state(self.files.state)
        try:
            trainer.load_state_dict(state)
            record, missing = state["record"], trainer.epoch - len(self._records)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise DamagedFileError(
                f"{self.files.state} is not the state of {self.config.head} on {self.config.backbone} "
                f"({type(error).__name__}: {one_line(error)}): {self._way_on}"
            ) from error
        if missing not in (0, 1):
            raise DamagedFileError(
                f"{self.files.epochs} has {len(self._records)} epochs, but {self.files.state.name} is of epoch "
                f"{trainer.epoch}: {self._way_on}"
            )
        log.info("resuming after epoch %d", trainer.epoch)
        if not missing:
            self._keep_best()
            return None
        self._commit(record)
        return record

    @property
    def _way_on(self) -> str:
        return (
            f"restore the one that is wrong, or delete {self.files.state.name} in {self.files.directory}, and --resume "
            "trains the trial from its start"
        )

    def _train(self, trainer: Trainer) -> dict[str, Any]:
        maps = self._scratch_maps(trainer.packed) if self.study.scored else None
        self.files.running_epoch.begin(trainer.epoch + 1)
        record = trainer.run_epoch(keep=maps, on_step=self.files.running_epoch.step)
        self.files.check_there()
        if self.study.kept([*self._records, record]) is record:
            if maps is not None:
                maps.flush()
                os.replace(self.files.scratch_maps, self.files.maps_of(trainer.epoch))
            self._save_weights(trainer)
        save_state(self.files.state, trainer.state_dict() | {"record": record})
        self._commit(record)
        score = f", {OBJECTIVE} {record[OBJECTIVE]:.4f}" if self.study.scored else ""
        said = (record["epoch"], self.config.epochs, record["train/loss"], score, record["epoch_s"])
        log.info("epoch %d/%d: loss %.4f%s, %.1f s", *said)
        return record

    def _commit(self, record: dict[str, Any]) -> None:
        self.files.append_record(record)
        self._records.append(record)
        self._keep_best()

    def _keep_best(self) -> None:
        kept = self.study.kept(self._records)
        if kept:
            self.files.keep_epoch(kept["epoch"], len(self._records))

    def _scratch_maps(self, packed: PackedData) -> np.ndarray:
        """Return a mapped file for the holdout's class maps, uint8 (pixels,), one after another."""
        shape = (self.study.holdout_pixels(packed),)
        maps = np.lib.format.open_memmap(self.files.scratch_maps, mode="w+", dtype=np.uint8, shape=shape)
        take_room(self.files.scratch_maps)
        return maps

    def _save_weights(self, trainer: Trainer) -> None:
        weights = {name: tensor.contiguous() for name, tensor in trainer.evaluated_model.state_dict().items()}
        content = safetensors.torch.save(weights, metadata={"epoch": str(trainer.epoch)})
        with replacing(self.files.weights_of(trainer.epoch)) as temporary:
            temporary.write_bytes(content)
