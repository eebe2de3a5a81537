"""StudyTuner: Ray Tune set up for one study, new or resumed from its ledger."""

import signal
import time
from contextlib import suppress
from typing import Any

import optuna
from ray import tune

from search.report.progress import Screen
from search.study.settings import StudySettings
from search.study.space import Space
from search.study.trial_end import Outcome, keep_outcome
from search.tracking.tracker import Tracker
from search.tuning.callback import StudyCallback
from search.tuning.live_vote import LiveVote
from search.tuning.plan import Plan
from search.tuning.sampler import MAX_BAD_SUGGESTIONS, FairOptunaSearch, GridSearch, Suggestion, sampler_of
from search.tuning.scheduler import Asha, NoStopping
from trainables.config import TrialConfig
from trainables.ray_trainable import SegmentationTrainable
from trainables.trial.files import TrialFiles


class StudyTuner:
    """`fit` runs the trials that the ledger does not know as ended; afterwards `interrupted` says whether all ended."""

    def __init__(self, plan: Plan, settings: StudySettings, tracker: Tracker, screen: Screen) -> None:
        self._plan, self._settings, self._tracker, self._screen = plan, settings, tracker, screen
        self._scheduler = self._make_scheduler()
        self._searcher = self._make_searcher()
        self._callback = StudyCallback(
            plan.study,
            tracker,
            screen,
            last_rung=plan.last_rung,
            vote=LiveVote(plan.study, plan.last_rung, **settings.vote_limits),
            gpus_per_trial=plan.resources.gpus,
            stop_suggesting=self._close,
        )
        self._ended = 0
        self._replay()
        self.interrupted = False
        self.cut_off = 0
        """Trials that the time budget ended before their time."""
        self.not_begun = 0
        """Trials, new ones or such that go on, that were left since those before them broke at once."""

    @property
    def broken(self) -> int:
        """Trials that failed for the machine's sake, which a resumed study goes on with."""
        return len(self._callback.broken)

    @property
    def bad_suggestions(self) -> list[str]:
        return list(dict.fromkeys(self._searcher.bad_suggestions))

    def _close(self) -> None:
        self._searcher.closed = True

    def _make_scheduler(self) -> Asha | NoStopping:
        plan, settings = self._plan, self._settings
        if plan.points:
            return NoStopping()
        return Asha(
            epochs=plan.epochs,
            grace_period=plan.grace_period,
            reduction_factor=settings.reduction_factor,
            brackets=settings.brackets,
            seed=settings.seed,
        )

    def _make_searcher(self) -> FairOptunaSearch | GridSearch:
        plan = self._plan
        if plan.points:
            return GridSearch(plan.points, trial_files=plan.study.trial_files)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return FairOptunaSearch(
            plan.space,
            seed=self._settings.seed,
            epochs=plan.epochs,
            trial_files=plan.study.trial_files,
            check=_Check(plan),
            constant_liar=plan.resources.concurrency > 1,
            recipes=plan.space.recipes,
        )

    def _replay(self) -> None:
        """Tells sampler, scheduler, screen and MLflow of the trials that earlier commands ran."""
        for files in self._plan.study.trials():
            suggestion = Suggestion.load(files).with_weights_from(self._settings.weights_dir)
            records = files.records()
            verdict = files.read_verdict()
            self._searcher.replay(suggestion, records, verdict)
            if verdict is None or not verdict["failure"]:
                self._scheduler.replay(suggestion.number, records)
            if verdict is None:
                continue
            self._ended += 1
            best = self._plan.study.data.kept_score(records)
            self._screen.progress.start(suggestion.number, suggestion.params, len(records), best)
            self._screen.progress.end(suggestion.number, verdict["status"])
            if not self._tracker.has_ended(suggestion.number):  # the driver died between the ledger and MLflow
                self._make_up_for(files)

    def fit(self) -> None:
        """Blocks until all trials ended, the time budget is spent, or Ctrl-C (or a SIGTERM) stops it."""
        left = self._plan.trials - self._ended
        if left <= 0:
            return
        started = time.monotonic()
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        self._tuner(left).fit()
        budget = self._settings.time_budget
        out_of_time = budget is not None and time.monotonic() - started >= budget
        open_trials = [files for files in self._plan.study.trials() if self._is_open(files)]
        self.not_begun = max(0, left - len(self._callback.begun)) if self._searcher.closed else 0
        self.interrupted = bool(open_trials) and not out_of_time
        self.cut_off = len(open_trials) if out_of_time else 0
        behind = [self._plan.study.trial_files(number) for number in sorted(self._callback.behind)]
        for files in dict.fromkeys([*open_trials, *behind]):
            self._make_up_for(files)

    def _is_open(self, files: TrialFiles) -> bool:
        """Whether it was stopped before its end: by Ctrl-C, or since there was no time left."""
        left_alone = self._searcher.closed and files.number not in self._callback.begun
        return not files.verdict.exists() and files.number not in self._callback.broken and not left_alone

    def _make_up_for(self, files: TrialFiles) -> None:
        """Brings MLflow's run of the trial to what the ledger says."""
        suggestion, verdict = Suggestion.load(files), files.read_verdict()
        epochs = suggestion.params.get("epochs", self._plan.epochs)
        if files.records() or verdict:
            self._tracker.start_trial(files.number, suggestion.params)
            self._tracker.log_epochs(files.number, files.records())
        outcome = Outcome.of(
            self._plan.study,
            files.number,
            epochs=epochs,
            last_rung=self._plan.last_rung,
            failure=verdict["failure"] if verdict else self._callback.broken.get(files.number),
            goes_on=verdict is None,
        )
        artifacts = keep_outcome(self._plan.study, outcome, files)
        self._tracker.end_trial(files.number, outcome.mlflow_status, outcome.tags, artifacts)

    def _tuner(self, trials: int) -> tune.Tuner:
        study, resources = self._plan.study, self._plan.resources
        trainable = tune.with_resources(
            tune.with_parameters(
                SegmentationTrainable,
                study=study.data,
                trials_dir=str(study.trials_dir),
                cpus=resources.cpus,
                gpus=resources.gpus,
            ),
            {"cpu": resources.cpus, "gpu": resources.gpus},
        )
        return tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=self._searcher,
                scheduler=self._scheduler,
                num_samples=trials,
                max_concurrent_trials=resources.concurrency,
                time_budget_s=self._settings.time_budget,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=time.strftime("%Y%m%d-%H%M%S"),
                storage_path=str(study.directory / "tune"),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=self._settings.max_failures),
                callbacks=[self._callback],
                verbose=0,
            ),
        )

    @staticmethod
    def first_suggestions(space: Space, seed: int, count: int) -> list[dict[str, Any]]:
        """What a new study of this space and seed would try first."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction="maximize")
        for recipe in space.recipes[:count]:
            study.enqueue_trial(recipe)
        first = []
        for number in range(1, count + 1):
            for attempt in range(MAX_BAD_SUGGESTIONS):
                study.sampler = sampler_of(seed, number, attempt)
                with suppress(Exception):  # a search takes the next one, too
                    first.append(space(study.ask()))
                    break
        return first


class _Check:
    """Raises UserError for a configuration that cannot be trained in this study."""

    def __init__(self, plan: Plan) -> None:
        self._splits, self._epochs = plan.study.data.splits, plan.epochs

    def __call__(self, params: dict[str, Any]) -> None:
        config = TrialConfig.from_dict(params)
        self._splits.fold_rows(config.fold)
        if config.epochs != self._epochs:
            raise ValueError(f"epochs is {config.epochs}, but all trials of a study have {self._epochs}")
