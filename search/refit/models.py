"""Which models a refit trains: each member's configuration again, on more photos, for as many steps as it took."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensembling.runs.members import Ensemble, Member
from search.study.study import Study, study_in
from trainables.config import FOLD_ALL, TrialConfig
from trainables.data.batches.training_batches import steps_per_epoch
from trainables.errors import UserError
from trainables.trial.files import TrialFiles


@dataclass(frozen=True)
class Original:
    """A member as it was trained: the study that it is a trial of, and the epoch whose weights vote."""

    member: Member
    study: Study
    best_epoch: int

    @classmethod
    def of(cls, member: Member, cache_dir: Path) -> "Original":
        """Read from the member's trial and study. Raises UserError where they are gone."""
        files = TrialFiles(member.weights.parent)
        directory = files.directory.parent.parent
        try:
            study = study_in(directory, cache_dir)
        except UserError as error:
            raise UserError(f"member {member.name} cannot be trained again without its study: {error}") from error
        kept = study.data.kept(files.records())
        if kept is None:
            raise UserError(f"member {member.name} cannot be trained again: {files.epochs} has no epoch")
        return cls(member, study, kept["epoch"])

    @property
    def steps_per_epoch(self) -> int:
        config = self.member.config
        return steps_per_epoch(self.study.data.photos_per_epoch(config.fold), config.effective_batch)


def refit_config(
    config: TrialConfig, *, best_epoch: int, steps_before: int, photos: int, seed: int, weights_dir: str | None = None
) -> TrialConfig:
    """`config` for training on all of `photos`, for as many optimizer steps as its best epoch came after.

    With s = `steps_before`, the steps per epoch of then, and s' = max(1, photos // effective batch), those of now,
    rounded to whole epochs:

        epochs         = max(1, round(best_epoch s / s'))
        warmup_epochs  = min(warmup_epochs s / s', epochs)

    The schedule comes to its end in those epochs. There is no fold to leave out.
    """
    steps_now = steps_per_epoch(photos, config.effective_batch)
    epochs = max(1, round(best_epoch * steps_before / steps_now))
    return dataclasses.replace(
        config,
        fold=FOLD_ALL,
        epochs=epochs,
        warmup_epochs=min(config.warmup_epochs * steps_before / steps_now, float(epochs)),
        seed=seed,
        weights_dir=weights_dir or config.weights_dir,
    )


def refit_models(
    originals: Sequence[Original], *, photos: int, seeds: int, weights_dir: str | None = None
) -> list[dict[str, Any]]:
    """What is trained, in the rank order of the members, the seeds of one next to each other, as plain values.

    A member of seed s gets s, s + n, s + 2n, …, with n above every member's seed: members of the same configuration
    that differ in their seeds alone do not become the same model.
    """
    stride = 1 + max(original.member.config.seed for original in originals)
    return [
        {
            "member": original.member.name,
            "member_run_id": original.member.run_id,
            "votes": original.member.votes,
            "best_epoch": original.best_epoch,
            "params": refit_config(
                original.member.config,
                best_epoch=original.best_epoch,
                steps_before=original.steps_per_epoch,
                photos=photos,
                seed=original.member.config.seed + number * stride,
                weights_dir=weights_dir,
            ).to_dict(),
        }
        for original in originals
        for number in range(seeds)
    ]


def describe_refit(name: str, run_id: str | None, ensemble: Ensemble, models: list[dict[str, Any]]) -> dict[str, Any]:
    """What study.json keeps of the ensemble, so that a refit is resumed and concluded without it.

    `run_id` is that of the ensemble's run in MLflow, None where it has none.
    """
    estimate = {key: ensemble.description.get(key) for key in ("crossfit_miou", "crossfit_interval", "tie_rule")}
    return {
        "ensemble": name,
        "run_id": run_id,
        **estimate,
        "views": ensemble.description.get("views"),
        "models": models,
    }
