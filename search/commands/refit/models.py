"""The models that a refit trains: the members' configurations, on more photos, for about the same number of steps."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensembling.runs.members import Ensemble, Member
from search.study.study import Study, study_in
from trainables.config import FOLD_ALL, TrialConfig
from trainables.data.batches.training_batches import steps_per_epoch
from trainables.data.edits import NO_EDITS
from trainables.errors import UserError
from trainables.trial.files import TrialFiles


@dataclass(frozen=True)
class Original:
    """A member as it was trained: its study, and the epoch whose weights vote."""

    member: Member
    study: Study
    best_epoch: int

    @classmethod
    def of(cls, member: Member, cache_dir: Path) -> "Original":
        """Return the member with its study, read from their files. Raises UserError where these are missing."""
        files = TrialFiles(member.weights.parent)
        directory = files.directory.parent.parent
        try:
            study = study_in(directory, cache_dir)
        except UserError as error:
            raise UserError(f"member {member.name} cannot be trained again without its study: {error}") from error
        kept = study.data.kept(files.records())
        if kept is None:
            raise UserError(f"member {member.name} cannot be trained again: {files.epochs} records no epoch")
        return cls(member, study, kept["epoch"])

    def without_edits(self) -> "Original":
        """Return the same member, to be trained again on the labels without corrections."""
        config = dataclasses.replace(self.member.config, edits=NO_EDITS)
        return dataclasses.replace(self, member=dataclasses.replace(self.member, config=config))

    @property
    def steps_per_epoch(self) -> int:
        config = self.member.config
        return steps_per_epoch(self.study.data.photos_per_epoch(config.fold, config.edits), config.effective_batch)


def refit_config(
    config: TrialConfig, *, best_epoch: int, steps_before: int, photos: int, seed: int, weights_dir: str | None = None
) -> TrialConfig:
    """Return `config` for training on all photos, for as many optimizer steps as the best epoch came after.

    With s = `steps_before`, the steps per epoch of the first training, and s' = max(1, photos // effective batch), the
    steps per epoch of the refit:

        epochs         = max(1, round(best_epoch s / s'))
        warmup_epochs  = min(warmup_epochs s / s', epochs)

    The schedule ends with the last of these epochs, and no fold is left out.

    Args:
        config: The configuration of the member.
        best_epoch: The epoch whose weights vote, counted from 1.
        steps_before: The steps per epoch of the first training.
        photos: The number of photos that the refit trains on.
        seed: The seed of the refit.
        weights_dir: The directory of pretrained weights; None keeps the one of `config`.
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
    originals: Sequence[Original], *, photos: Callable[[str], int], seeds: int, weights_dir: str | None = None
) -> list[dict[str, Any]]:
    """Return plain values that describe the models to train, in the rank order of the members.

    The models of one member, which differ in their seeds, follow one another. A member of seed s gets the seeds s, s +
    n, s + 2n, …, where n is greater than every member's seed: members of the same configuration that differ only in
    their seeds do not become the same model.

    Args:
        originals: The members as they were trained.
        photos: Returns the number of photos that the refit trains on, from the name of a member's edits.
        seeds: The number of models of each member.
        weights_dir: The directory of pretrained weights; None keeps that of each member.
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
                photos=photos(original.member.config.edits),
                seed=original.member.config.seed + number * stride,
                weights_dir=weights_dir,
            ).to_dict(),
        }
        for original in originals
        for number in range(seeds)
    ]


def describe_refit(name: str, run_id: str | None, ensemble: Ensemble, models: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what study.json keeps of the ensemble, so that a refit can be resumed and finished without it.

    Args:
        name: The name of the ensemble.
        run_id: The id of its run in MLflow; None where it has none.
        ensemble: The ensemble.
        models: The models to train, as `refit_models` describes them.
    """
    described = ensemble.description
    interval = described.crossfit_interval
    return {
        "ensemble": name,
        "run_id": run_id,
        "crossfit_miou": described.crossfit_miou,
        "crossfit_interval": interval and dataclasses.asdict(interval),
        "tie_rule": described.tie_rule,
        "views": described.views,
        "models": models,
    }
