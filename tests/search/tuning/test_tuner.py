"""What a command leaves: stopped by somebody, or not begun since nothing came to train."""

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from search.search_steps import say_what_broke
from search.tuning.tuner import StudyTuner
from trainables.files import write_json
from trainables.trial.files import TrialFiles


class ThatTrainsNothing(StudyTuner):
    """Trials 1 to 3 of an earlier command break at once, 4 is not handed out any more, 5 and 6 were never drawn."""

    def __init__(self, directory, *, closed, broken, stopped=None, all_told=True):
        trials = [TrialFiles(directory / f"{number:04d}") for number in (1, 2, 3, 4)]
        for files in trials:
            files.directory.mkdir()
        self._plan = SimpleNamespace(trials=6, study=SimpleNamespace(trials=lambda: trials))
        self._stopped = stopped
        self._searcher = SimpleNamespace(closed=closed)
        self._refresh = SimpleNamespace(stop=lambda: None)
        self._callback = SimpleNamespace(
            begun=set(broken),
            broken=dict.fromkeys(broken, "no data"),
            behind=set(),
            finish=lambda timeout: all_told,
            make_up_for_study=lambda: None,
        )
        self._ended, self.cut_off, self.not_begun, self.made_up_for = 0, 0, 0, []

    def _run(self):
        return self._stopped, False

    def _make_up_for(self, files):
        self.made_up_for.append(files.number)


@pytest.mark.parametrize(
    ("closed", "broken", "interrupted", "not_begun", "made_up_for"),
    [(True, (1, 2, 3), False, 3, []), (False, (1, 2, 3), True, 0, [4]), (False, (), True, 0, [1, 2, 3, 4])],
)
def test_a_closed_search_was_not_stopped(tmp_path, closed, broken, interrupted, not_begun, made_up_for):
    tuner = ThatTrainsNothing(tmp_path, closed=closed, broken=broken)
    tuner.fit()
    assert (tuner.interrupted, tuner.not_begun, tuner.made_up_for) == (interrupted, not_begun, made_up_for)


def test_a_closed_search_whose_begun_trials_are_paused_was_not_stopped(tmp_path):
    tuner = ThatTrainsNothing(tmp_path, closed=True, broken=(2, 3, 4))
    tuner._callback.begun.add(1)  # it came to a rung, and waits there
    tuner.fit()
    assert (tuner.interrupted, tuner.not_begun, tuner.made_up_for) == (False, 2, [1])


@pytest.mark.parametrize(
    ("broken", "not_begun", "words"),
    [
        (
            {4: "it died", 2: "it died", 3: "OSError: no"},
            1,
            "3 trials failed for reasons that are not the configuration's, and 1 was not begun: trial 2, 4: it died; "
            "trial 3: OSError: no. The logs in",
        ),
        ({1: "it died"}, 0, "1 trial failed for reasons that are not the configuration's: trial 1: it died. The logs"),
        ({}, 0, ""),
    ],
)
def test_what_broke_is_said_with_its_reasons_and_the_way_on(tmp_path, broken, not_begun, words):
    console = Console(file=io.StringIO(), width=500)
    plan = SimpleNamespace(study=SimpleNamespace(trials_dir=tmp_path, name="mine"))
    say_what_broke(plan, SimpleNamespace(broken=broken, not_begun=not_begun), console)
    text = console.file.getvalue()
    assert text.startswith(words)
    assert ("--resume --name mine goes on with all that have not ended" in text) is bool(broken)


@pytest.mark.parametrize(("all_told", "made_up_for"), [(True, [1, 2, 3, 4]), (False, [])])
def test_a_stopped_search_makes_up_for_what_it_can_unless_its_threads_are_still_at_it(tmp_path, all_told, made_up_for):
    tuner = ThatTrainsNothing(tmp_path, closed=False, broken=(), stopped=time.monotonic(), all_told=all_told)
    tuner.fit()
    assert (tuner.interrupted, tuner.made_up_for) == (True, made_up_for)


def test_what_has_ended_is_not_open(tmp_path):
    tuner = ThatTrainsNothing(tmp_path, closed=False, broken=())
    write_json(TrialFiles(tmp_path / "0002").verdict, {"status": "completed"})
    tuner.fit()
    assert tuner.made_up_for == [1, 3, 4]
