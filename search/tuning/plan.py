"""Plan: everything that is decided before the first trial."""

from dataclasses import dataclass

from search.study.settings import RefitSettings, Settings
from search.study.space import Space
from search.study.study import Study
from search.tuning.cluster.resources import Resources
from search.tuning.schedulers.rungs import default_grace_period, rungs
from search.tuning.searchers.suggestion import Suggestion
from trainables.config import TrialConfig


@dataclass(frozen=True)
class Plan:
    """What a study trains, for how many epochs, and on what.

    The trials of a grid and of a refit are all known beforehand: they are the `suggestions`, and `configs` holds their
    configurations. Where the space is searched, `suggestions` is empty, and `configs` holds the space's first
    configuration alone, which stands for those that will be drawn. A refit has no space, and each of its trials has its
    own number of epochs.
    """

    study: Study
    settings: Settings | RefitSettings
    space: Space | None
    suggestions: list[Suggestion]
    configs: list[TrialConfig]
    resources: Resources

    @property
    def trials(self) -> int:
        return len(self.suggestions) or self.settings.trials or self.space.trials

    @property
    def epochs(self) -> int:
        """Return the epochs of a trial that is not stopped early; of a refit's trials, the most."""
        return max(config.epochs for config in self.configs)

    @property
    def grace_period(self) -> int:
        """Return the epochs after which trials of a search are compared for the first time."""
        settings = self.settings
        given = settings.grace_period or self.space.grace_period
        default = default_grace_period(self.epochs, settings.reduction_factor, settings.scheduler)
        return min(self.epochs, given or default)

    @property
    def rungs(self) -> tuple[int, ...]:
        """Return the epochs at which trials are compared and may be stopped; none in a grid or a refit."""
        if self.suggestions:
            return ()
        return tuple(rungs(self.epochs, self.grace_period, self.settings.reduction_factor))

    @property
    def last_rung(self) -> int:
        """Return the epoch from which on a trial may vote although it was stopped."""
        return self.rungs[-1] if self.rungs else self.epochs
