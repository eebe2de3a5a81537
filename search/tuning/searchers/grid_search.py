"""GridSearch: trials that are all known beforehand, one after another, each of which is trained to its end."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from search.tuning.searchers.suggestion import Suggestion
from trainables.trial.files import TrialFiles, Verdict


class GridSearch(Searcher):
    """Hands out the trials of a grid or a refit in order; when a study is resumed, those that have not ended."""

    def __init__(self, suggestions: list[Suggestion], *, trial_files: Callable[[int], TrialFiles]) -> None:
        super().__init__()  # no metric: whatever its trials score, if anything, all of them are trained
        self._waiting = list(suggestions)
        self._trial_files = trial_files
        self.bad_suggestions: list[str] = []
        self.not_suggested = 0
        self.closed = False

    def replay(self, suggestion: Suggestion, records: list[dict[str, Any]], verdict: Verdict | None) -> None:
        """Leave out a trial of the ledger that has ended."""
        if verdict is not None:
            self._waiting = [waiting for waiting in self._waiting if waiting.number != suggestion.number]

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        if self.closed or not self._waiting:
            return Searcher.FINISHED
        suggestion = self._waiting.pop(0)
        suggestion.save(self._trial_files(suggestion.number))
        return {"number": suggestion.number, "params": suggestion.params}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the ledger says what has ended."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: the ledger says what has ended."""
