"""StudyTuner: Ray Tune set up for one study, new or resumed from its ledger."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError

from search.screen.screen import Screen
from search.screen.watch import EpochWatch
from search.tracking.tracker import Tracker
from search.tuning.callback import StudyCallback
from search.tuning.cluster.ray_watch import RayWatch, describe_lost
from search.tuning.cluster.start_ray import end_ray, use_prepared_processes
from search.tuning.import_meanwhile import ImportMeanwhile
from search.tuning.live_vote import LiveVote
from search.tuning.outcome_recorder import OutcomeRecorder
from search.tuning.plan import Plan
from search.tuning.report_refresh import ReportRefresh, report_flags
from search.tuning.resume import read_ledger, replay_ledger
from search.tuning.schedulers.asha import Asha
from search.tuning.schedulers.ladder import Ladder
from search.tuning.schedulers.promotion import Promotion
from search.tuning.schedulers.scheduler import Scheduler
from search.tuning.searchers.grid_search import GridSearch
from search.tuning.searchers.optuna_search import OptunaSearch
from search.tuning.searchers.other_studies import make_rank_model
from search.tuning.searchers.suggestion import Suggestion
from search.tuning.stop_signals import stop_signals
from trainables.config import TrialConfig
from trainables.errors import UserError
from trainables.ray_trainable import SegmentationTrainable
from trainables.trial.files import TrialFiles
from trainables.trial.running_epoch import RunningEpoch

LAST_STEPS_S = 5.0  # that a stopped search may take for what it still writes, while somebody waits for its end
RAY_DEATH_S = 8.0  # after which RayWatch has noticed that Ray has died


class StudyTuner:
    """Runs the trials of a study. After `fit`, `interrupted` says whether some of them have not ended.

    `wait_for_kernels` returns when the kernels of the vote have been compiled; LiveVote calls it before its first vote.
    The modules in `meanwhile` are imported while the trials train, from the first epoch's end on.
    """

    def __init__(
        self,
        plan: Plan,
        tracker: Tracker,
        screen: Screen,
        wait_for_kernels: Callable[[], None] | None = None,
        *,
        meanwhile: Sequence[str] = (),
    ) -> None:
        self._plan, self._settings, self._tracker, self._screen = plan, plan.settings, tracker, screen
        self._scheduler = self._make_scheduler()
        self._searcher = self._make_searcher()
        self._recorder = OutcomeRecorder(plan.study, tracker, epochs=plan.epochs, last_rung=plan.last_rung)
        self._callback = StudyCallback(
            plan.study,
            tracker,
            screen,
            recorder=self._recorder,
            vote=LiveVote(plan.study, plan.last_rung, wait_for_kernels=wait_for_kernels, **plan.settings.vote_limits),
            gpus_per_trial=plan.resources.gpus,
            stop_suggesting=self._close,
            paused=self._scheduler.paused,
        )
        self._imports = ImportMeanwhile(meanwhile)
        self._refresh = ReportRefresh(report_flags(plan.study.name, plan.settings))
        self._ended = replay_ledger(
            read_ledger(plan.study, plan.settings.weights_dir),
            searcher=self._searcher,
            scheduler=self._scheduler,
            callback=self._callback,
            recorder=self._recorder,
        )
        self.interrupted = False
        self.cut_off = 0
        """How many trials had not ended when the time budget was spent."""
        self.not_begun = 0
        """How many trials were left to a resumed study because several before them failed at once.

        They are new trials, or trials of an earlier command that had not ended."""

    @property
    def broken(self) -> dict[int, str]:
        """Return why trials failed because of the machine, by number: a resumed study goes on with them."""
        return self._callback.broken

    @property
    def bad_suggestions(self) -> list[str]:
        return list(dict.fromkeys(self._searcher.bad_suggestions))

    @property
    def not_suggested(self) -> int:
        """Return how many trials are left out, since the space made nothing more that can be trained."""
        return self._searcher.not_suggested

    def _close(self) -> None:
        self._searcher.closed = True

    def _make_scheduler(self) -> Scheduler:
        plan, settings = self._plan, self._settings
        if plan.suggestions:
            return Scheduler()
        ladder = Ladder(
            epochs=plan.epochs,
            grace_period=plan.grace_period,
            reduction_factor=settings.reduction_factor,
            brackets=settings.brackets,
            seed=settings.seed,
        )
        return Promotion(ladder) if settings.scheduler == "promote" else Asha(ladder)

    def _make_searcher(self) -> OptunaSearch | GridSearch:
        plan = self._plan
        if plan.suggestions:
            return GridSearch(plan.suggestions, trial_files=plan.study.trial_files)
        promotion = self._scheduler if isinstance(self._scheduler, Promotion) else None
        how = {"trial_files": plan.study.trial_files, "promotion": promotion}
        return _optuna_search(plan, plan.trials, **how)

    def fit(self) -> None:
        """Block until all trials ended, the time budget is spent, or somebody (or Ray's death) stops the search."""
        left = self._plan.trials - self._ended
        if left <= 0:
            self._callback.make_up_for_study()
            return
        try:
            stopped_at, out_of_time = self._run()
        finally:
            self._refresh.stop()
            all_told = self._callback.finish(LAST_STEPS_S)
        open_trials = [files for files in self._plan.study.trials() if self._is_open(files)]
        self.not_begun = max(0, left - len(self._callback.begun)) if self._searcher.closed else 0
        ended_by_itself = out_of_time or self._searcher.closed
        self.interrupted = stopped_at is not None or (bool(open_trials) and not ended_by_itself)
        self.cut_off = len(open_trials) if out_of_time else 0
        behind = [self._plan.study.trial_files(number) for number in sorted(self._callback.behind)]
        for files in dict.fromkeys([*open_trials, *behind]):
            if stopped_at is not None and (not all_told or time.monotonic() - stopped_at > LAST_STEPS_S):
                break  # a resumed study makes up for the rest
            self._make_up_for(files)
        if stopped_at is None:
            self._callback.make_up_for_study()

    def _run(self) -> tuple[float | None, bool]:
        """Run the trials, and return when they were stopped and whether they ended because the time budget was spent.

        The time is in seconds of the monotonic clock. It is None where nobody stopped the search; the ledger and MLflow
        then have everything that the trials reported.
        """
        tuner, stopped_at, out_of_time = self._tuner(), None, False
        started, budget = time.monotonic(), self._settings.time_budget
        epochs = EpochWatch(self._screen, self._running_epoch, self._callback.tell_running)
        go_on = f"Every finished epoch is kept: go on by --resume --name {self._plan.study.name}"
        with (
            RayWatch(go_on) as watch,
            stop_signals(go_on, unless=lambda: watch.lost is not None, begun=watch.stopping),
            epochs,
        ):
            try:
                try:
                    tuner.fit()
                    out_of_time = budget is not None and time.monotonic() - started >= budget
                    if not out_of_time and not self._searcher.closed:
                        self._callback.end_paused(self._scheduler.paused)
                    self._callback.finish()
                except (RayError, TuneError):
                    time.sleep(RAY_DEATH_S)  # interrupted where it is Ray's death that Tune fell over
                    raise
            except KeyboardInterrupt:
                stopped_at, out_of_time = time.monotonic(), False
                end_ray()
        if watch.lost:
            self._screen.warn(describe_lost(watch.lost))
        return stopped_at, out_of_time

    def _running_epoch(self, number: int) -> RunningEpoch | None:
        return self._plan.study.trial_files(number).running_epoch.read()

    def _is_open(self, files: TrialFiles) -> bool:
        """Return whether the trial has not ended although it was begun, because of Ctrl-C or of the time budget."""
        left_alone = self._searcher.closed and files.number not in self._callback.begun
        return not files.verdict.exists() and files.number not in self._callback.broken and not left_alone

    def _make_up_for(self, files: TrialFiles) -> None:
        """Write down where a trial stands that this command leaves open, or of which MLflow lacks a part."""
        suggestion = Suggestion.load(files).with_weights_from(self._settings.weights_dir)
        self._recorder.end(suggestion, failure=self._callback.broken.get(files.number), goes_on=True)

    def _tuner(self) -> tune.Tuner:
        study, resources = self._plan.study, self._plan.resources
        if self._settings.address is None:
            use_prepared_processes()
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
                num_samples=-1,  # the searcher says when there are enough: a trial that is promoted counts anew here
                max_concurrent_trials=resources.concurrency,
                time_budget_s=self._settings.time_budget,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=time.strftime("%Y%m%d-%H%M%S"),
                storage_path=str(study.directory / "tune"),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=self._settings.max_failures),
                callbacks=[self._callback, self._refresh, self._imports],
                verbose=0,
            ),
        )

    @staticmethod
    def first_suggestions(plan: Plan, count: int) -> list[Suggestion]:
        """Return what a new study would try first, by the search's own code and without its ledger.

        Raises UserError where the space makes nothing that can be trained.
        """
        search = _optuna_search(plan, count)
        found = [search.suggest(str(number)) for number in range(count)]
        first = [Suggestion(**one) for one in found if isinstance(one, dict)]
        if not first:
            raise UserError(
                f"space {plan.space.name} suggests nothing that can be trained: {search.bad_suggestions[-1]}"
            )
        return first


def _optuna_search(plan: Plan, trials: int, **how: Any) -> OptunaSearch:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return OptunaSearch(
        plan.space,
        seed=plan.settings.seed,
        epochs=plan.epochs,
        check=_Check(plan),
        constant_liar=plan.resources.concurrency > 1,
        trials=trials,
        recipes=plan.space.recipes,
        learnt=make_rank_model(plan.study.learnt, plan.space),
        **how,
    )


class _Check:
    """A function that raises ValueError, mostly UserError, for a configuration that cannot be trained in this study."""

    def __init__(self, plan: Plan) -> None:
        self._splits, self._epochs = plan.study.data.splits, plan.epochs

    def __call__(self, params: dict[str, Any]) -> None:
        config = TrialConfig.from_dict(params)
        self._splits.fold_rows(config.fold)
        if config.epochs != self._epochs:
            raise ValueError(f"epochs is {config.epochs}, but all trials of a study have {self._epochs}")
