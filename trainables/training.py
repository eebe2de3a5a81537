"""Trainer: trains one configuration epoch by epoch in plain PyTorch. It writes no files but the packed cache."""

import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from trainables.config import FOLD_ALL, TrialConfig
from trainables.data import PackedData
from trainables.data.batches.training_batches import TrainingBatches, sample_seed
from trainables.errors import UserError
from trainables.hardware.compiling import compiled
from trainables.hardware.out_of_memory import run_in_memory
from trainables.hardware.peak_memory import PeakMemory
from trainables.hardware.precision import choose_precision
from trainables.inference.evaluate import evaluate
from trainables.inference.metrics import iou_per_class, miou, pixel_accuracy
from trainables.losses import build_loss, class_weights_from
from trainables.losses.batch_loss import BatchLoss
from trainables.models import build_model
from trainables.optim import averaged, build_optimizer, build_schedule
from trainables.study_data import StudyData

FINITE_CHECK_STEPS = 25  # steps between checks of the loss, because reading it waits for the GPU


class NonFiniteError(ArithmeticError):
    """The error for a loss that became infinite or NaN, after which the configuration cannot be trained further."""


def _ignore_step(step: int, steps: int, total_loss: Tensor) -> None:
    """Do nothing, where the progress within an epoch is not shown."""


class Trainer:
    """The training of one configuration on the study's training rows, and its evaluation.

    It is scored on the holdout and on the fold that it left out; a study without a holdout scores nothing.
    `loader_workers` processes augment photos; with 0 the training process does it between the steps, which is right
    where the CPU trains.
    """

    def __init__(self, config: TrialConfig, study: StudyData, *, loader_workers: int = 0) -> None:
        torch.manual_seed(config.seed)
        self.config, self.study = config, study
        self.packed: PackedData = study.open(config.size, config.edits)
        self.precision = choose_precision(config.precision)
        self.epoch = 0
        self.micro_batch = config.batch_size
        self.peak_memory = PeakMemory(self.precision.device)

        self.batches = self._build_batches(loader_workers)  # its processes start while the model is built
        self.model = self._build_model()
        self.loss = self._build_loss()
        self.optimizer = build_optimizer(
            self.model,
            config.optimizer,
            lr=config.lr,
            head_lr=config.head_lr,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            layer_decay=config.layer_decay,
        )
        steps = len(self.batches)
        self.schedule = build_schedule(
            self.optimizer,
            config.schedule,
            total_steps=config.epochs * steps,
            warmup_steps=min(round(config.warmup_epochs * steps), config.epochs * steps - 1),
        )
        self.scaler = self._build_scaler()
        self.ema = self._build_ema()

    def _build_model(self) -> torch.nn.Module:
        config = self.config
        model = build_model(
            head=config.head,
            backbone=config.backbone,
            num_classes=self.study.num_classes,
            pretrained=config.pretrained,
            weights_dir=config.weights_dir,
            init_from=config.init_from,
            init_partial=config.init_partial,
            image_size=config.size,
            drop_path=config.drop_path,
            dropout=config.dropout,
        )
        steps = config.epochs * len(self.batches)
        return self.precision.place(model, channels_last=config.channels_last, steps=steps)

    @cached_property
    def training_logits(self) -> Callable[[Tensor], list[tuple[float, Tensor]]]:
        """Return the model's function of that name, compiled by torch.compile where the configuration asks for it."""
        if not self.config.compile:
            return self.model.training_logits
        return compiled(self.model.training_logits, of=f"{self.config.head} on {self.config.backbone}")

    def _build_batches(self, workers: int) -> TrainingBatches:
        config = self.config
        return TrainingBatches(
            self.packed,
            self.study.training_rows(config.fold, config.edits),
            pseudo=self.study.open_pseudo(config.size),
            batch_size=config.effective_batch,
            augmentation=config.augmentation,
            size=config.size,
            seed=config.seed,
            workers=workers,
            pin_memory=self.precision.device.type == "cuda",
            first_class=int(self.study.unlabelled == "background"),
        )

    def _build_loss(self) -> torch.nn.Module:
        weights = None
        if self.config.class_weights == "inverse_sqrt":
            weights = class_weights_from(self._pixel_counts())
        loss = build_loss(self.config.loss, num_classes=self.study.num_classes, class_weights=weights)
        return loss.to(self.precision.device)

    def _pixel_counts(self) -> np.ndarray:
        """Return the pixels of each class in the labelled training photos, int64 (classes,).

        Photos with pseudo-labels are not counted, because their classes are as frequent as the models that made them
        predict.
        """
        counts = np.zeros(256, dtype=np.int64)
        for row in self.study.training_rows(self.config.fold, self.config.edits):
            counts += np.bincount(self.packed.masks[row].reshape(-1), minlength=256)
        return counts[: self.study.num_classes]

    def _build_scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self.precision.device.type, enabled=self.precision.needs_loss_scaling)

    def _build_ema(self) -> AveragedModel | None:
        if not self.config.ema_decay:
            return None
        return averaged(self.model, self.config.ema_decay, lambda: self.schedule.last_epoch)

    @property
    def evaluated_model(self) -> torch.nn.Module:
        """Return the model with averaged weights where weights are averaged, because those are scored and kept."""
        return self.ema.module if self.ema else self.model

    def run_epoch(
        self, keep: np.ndarray | None = None, on_step: Callable[[int, int, Tensor], None] = _ignore_step
    ) -> dict[str, Any]:
        """Train one epoch, evaluate, and return its record.

        The record has the scores, the loss, the duration `epoch_s` in seconds and the `time` of its end in seconds
        since 1970. `keep` is filled with the holdout's class maps. `on_step` is called before the first step and after
        each one, with the number of steps done, the number of all steps, and the sum of the losses so far. The sum is
        on the model's device: reading it waits for the steps. Raises NonFiniteError when the loss is no longer a
        number.
        """
        started = time.monotonic()
        # Dropout and drop path use the global generator. It is seeded by epoch, so that a resumed trial draws the same.
        torch.manual_seed(sample_seed(self.config.seed, self.epoch))
        self.peak_memory.reset()
        lr = self.config.lr * self._schedule_factor()
        loss = self._train(on_step)
        trained_s = time.monotonic() - started
        self.epoch += 1
        record = {
            "epoch": self.epoch,
            "train/loss": loss,
            "lr": lr,
            "images_per_s": self.batches.photos_per_epoch / trained_s,
            **self._scores(keep),
        }
        took = {"epoch_s": time.monotonic() - started, "time": time.time()}
        return record | took | {"peak_memory_gb": self.peak_memory.gigabytes()}

    def _schedule_factor(self) -> float:
        group = self.optimizer.param_groups[0]
        return group["lr"] / group.get("max_lr", group["initial_lr"])  # one_cycle starts at a fraction of the rate

    def _train(self, on_step: Callable[[int, int, Tensor], None]) -> float:
        self.model.train()
        total = torch.zeros((), device=self.precision.device)
        on_step(0, len(self.batches), total)
        for step, batch in enumerate(self.batches.epoch(self.epoch), start=1):
            total += self._step(*batch)
            on_step(step, len(self.batches), total)
            if step % FINITE_CHECK_STEPS == 0 or step == len(self.batches):
                self._check_finite("training loss", total, step)
        if self.epoch + 1 < self.config.epochs:
            self.batches.begin(self.epoch + 1)  # while the model is evaluated
        # The last step's loss was finite before it changed the weights.
        norm = torch.nn.utils.get_total_norm([weight.detach() for weight in self.model.parameters()])
        self._check_finite("norm of the weights", norm, len(self.batches))
        return float(total) / len(self.batches)

    def _check_finite(self, what: str, value: Tensor, step: int) -> None:
        if not math.isfinite(value):
            raise NonFiniteError(
                f"the {what} became {float(value)} at epoch {self.epoch + 1}, by step {step}: "
                f"a lower lr than {self.config.lr:g}, warm-up or --fix grad_clip=1 usually helps"
            )

    def _step(self, images: Tensor, masks: Tensor, pseudo: Tensor | None = None) -> Tensor:
        """Take one optimizer step on a batch and return its loss.

        Where GPU memory runs out, the step is repeated on the same batch with half the micro-batch. `pseudo`, bool
        (N,), marks the photos that have pseudo-labels; None means that none has.
        """

        def step(micro_batch: int) -> Tensor:
            there = self.precision.to_device(images), self.precision.to_device(masks)
            loss = self._accumulate(*there, pseudo, micro_batch)
            self._update_weights()  # the first step allocates the optimizer's state, twice the size of the weights
            return loss

        try:
            loss, self.micro_batch = run_in_memory(step, self.micro_batch, before_retry=self._forget_step)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                f"batch normalisation cannot train on one image of {self.config.image_size} pixels, whose deepest map "
                "is one pixel: give a batch_size of 2 or more, or a larger image_size"
            ) from error
        return loss

    def _forget_step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler = self._same_scaler()

    def _same_scaler(self) -> torch.amp.GradScaler:
        """Return a scaler with the same scale that does not remember the gradients of the failed step."""
        scaler = self._build_scaler()
        scaler.load_state_dict(self.scaler.state_dict())
        return scaler

    def _update_weights(self) -> None:
        if self.config.grad_clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        if self.ema:
            self.ema.update_parameters(self.model)

    def _accumulate(self, images: Tensor, masks: Tensor, pseudo: Tensor | None, micro_batch: int) -> Tensor:
        """Add the gradient of the batch's loss, in passes of at most `micro_batch` photos; return that loss."""
        total = torch.zeros((), device=self.precision.device)
        pseudo_weight = self.study.pseudo.weight if self.study.pseudo else 1.0
        batch_loss = BatchLoss(self.loss, masks, pseudo=pseudo, pseudo_weight=pseudo_weight)
        for start in range(0, len(images), micro_batch):
            photos = slice(start, start + micro_batch)
            with self.precision.autocast():
                outputs = list(self.training_logits(self._input(images[photos])))
                loss = sum(weight * batch_loss.part(logits, photos) for weight, logits in outputs)
            self.scaler.scale(loss).backward()
            total += loss.detach()
        return total

    def _input(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return self.model.normalize(images).contiguous(memory_format=layout)

    def _scores(self, keep: np.ndarray | None) -> dict[str, Any]:
        if not self.study.scored:
            return {}
        confusion = self._confusion(self.study.splits.holdout, keep)
        scores: dict[str, Any] = {"holdout/miou": miou(confusion), "holdout/accuracy": pixel_accuracy(confusion)}
        for name, iou in zip(self.study.class_names, iou_per_class(confusion).tolist()):
            if not math.isnan(iou):
                scores[f"holdout/iou/{name}"] = iou
        if self.config.fold != FOLD_ALL:
            fold = miou(self._confusion(self.study.splits.fold_rows(self.config.fold), None))
            scores |= {} if math.isnan(fold) else {"fold/miou": fold}  # a fold without any annotation has no score
        return scores

    def _confusion(self, rows: tuple[int, ...], keep: np.ndarray | None) -> Tensor:
        def evaluated(at_once: int) -> Tensor:
            return evaluate(
                self.evaluated_model,
                self.packed,
                rows,
                num_classes=self.study.num_classes,
                batch_size=at_once,
                precision=self.precision,
                keep=keep,
            )

        confusion, _ = run_in_memory(evaluated, self.micro_batch)
        return confusion

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values only, which `torch.load(weights_only=True)` reads."""
        return {
            "epoch": self.epoch,
            "micro_batch": self.micro_batch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.epoch, self.micro_batch = state["epoch"], state["micro_batch"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema:
            self.ema.load_state_dict(state["ema"])
