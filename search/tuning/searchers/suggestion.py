"""Suggestion: the configuration that a searcher hands out, as it is kept in the trial's directory."""

from dataclasses import dataclass, field, replace
from typing import Any

from trainables.config import TrialConfig
from trainables.files import write_json
from trainables.trial.files import TrialFiles


@dataclass(frozen=True)
class Suggestion:
    """The configuration of the trial `number` of a study: `params`, as the space or the refit made it.

    `sampled` are the values that Optuna drew, of which the space made `params`; it is empty in a grid and in a refit.
    """

    number: int
    params: dict[str, Any]
    sampled: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> TrialConfig:
        """Return the configuration with every default. Raises UserError where it cannot be trained."""
        return TrialConfig.from_dict(self.params)

    def save(self, files: TrialFiles) -> None:
        """Write the suggestion to the trial's directory, which is made if it is not there."""
        write_json(files.suggestion, {"params": self.params, "sampled": self.sampled})

    def with_weights_from(self, weights_dir: str | None) -> "Suggestion":
        """Return the same, where a resumed study names another directory for the weights that trials start from."""
        return replace(self, params=self.params | {"weights_dir": weights_dir}) if weights_dir else self

    @classmethod
    def load(cls, files: TrialFiles) -> "Suggestion":
        """Return what `save` wrote. Raises DamagedFileError where the file cannot be read."""
        saved = files.read_suggestion()
        return cls(files.number, saved["params"], saved["sampled"])
