"""Trial: a Trainer that survives being killed. It keeps its ledger in TrialFiles and goes on from there."""

import logging
import os
from dataclasses import replace
from typing import Any

import numpy as np
import safetensors.torch
import torch

from trainables.config import TrialConfig
from trainables.files import replacing, write_json
from trainables.study_data import OBJECTIVE, StudyData
from trainables.training import Trainer
from trainables.trial.files import TrialFiles

log = logging.getLogger(__name__)


class Trial:
    """Trains one epoch per `next_epoch`. Everything up to the last finished epoch is read back from `files`."""

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
        """The record of the next epoch; of the last one again where all epochs were trained before."""
        if self.finished:
            return self._records[-1]
        if self._trainer is None:
            self._trainer = Trainer(self._start(), self.study, loader_workers=self._loader_workers)
            recovered = self._resume(self._trainer)
            if recovered:
                return recovered
        return self._train(self._trainer)

    def _start(self) -> TrialConfig:
        """The configuration; without the weights to start from where the trial's own state replaces them."""
        if not self.files.state.exists():
            return self.config
        return replace(self.config, pretrained=False, init_from=None)

    def _resume(self, trainer: Trainer) -> dict[str, Any] | None:
        """Loads the last state; returns its epoch's record if a kill came between the state and its line."""
        if not self.files.state.exists():
            self._records = []  # lines without their state (a disk that filled up): train from the start
            self.files.epochs.unlink(missing_ok=True)
            return None
        state = torch.load(self.files.state, map_location="cpu", weights_only=True)
        trainer.load_state_dict(state)
        log.info("goes on after epoch %d", trainer.epoch)
        if trainer.epoch == len(self._records):
            return None
        self._commit(state["record"])
        return state["record"]

    def _train(self, trainer: Trainer) -> dict[str, Any]:
        maps = self._scratch_maps() if self.study.scored else None
        record = trainer.run_epoch(keep=maps)
        if self.study.kept([*self._records, record]) is record:
            if maps is not None:
                maps.flush()
                os.replace(self.files.scratch_maps, self.files.best_maps)
            self._save_best_weights(trainer)
        with replacing(self.files.state) as temporary:
            torch.save(trainer.state_dict() | {"record": record}, temporary)
        self._commit(record)
        score = f", {OBJECTIVE} {record[OBJECTIVE]:.4f}" if self.study.scored else ""
        said = (record["epoch"], self.config.epochs, record["train/loss"], score, record["epoch_s"])
        log.info("epoch %d/%d: loss %.4f%s, %.1f s", *said)
        return record

    def _commit(self, record: dict[str, Any]) -> None:
        self.files.append_record(record)
        self._records.append(record)

    def _scratch_maps(self) -> np.ndarray:
        """Room on disk for the holdout's class maps, one after another."""
        sizes = self.study.open(self.config.size).sizes
        pixels = sum(sizes[row][0] * sizes[row][1] for row in self.study.splits.holdout)
        return np.lib.format.open_memmap(self.files.scratch_maps, mode="w+", dtype=np.uint8, shape=(pixels,))

    def _save_best_weights(self, trainer: Trainer) -> None:
        weights = {name: tensor.contiguous() for name, tensor in trainer.evaluated_model.state_dict().items()}
        with replacing(self.files.best_weights) as temporary:
            safetensors.torch.save_file(weights, temporary, metadata={"epoch": str(trainer.epoch)})
