"""EpochWatch: it reads while trials train, and tells the screen and MLflow."""

import io
import threading

from rich.console import Console

from search.screen import watch
from search.screen.screen import Screen
from search.screen.watch import EpochWatch
from tests.search.screen.made import PARAMS, running


def test_what_is_read_is_shown_and_told(progress, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.001)
    told, enough = [], threading.Event()

    def tell(epochs, gpus):
        told.append((epochs, gpus))
        enough.set()

    output = io.StringIO()
    for number in (1, 2):
        progress.start(number, PARAMS)
    progress.end(2, "completed")
    with EpochWatch(Screen(progress, Console(file=output, width=200), "mine"), lambda _: running(1, 10), tell):
        assert enough.wait(60)
    assert told[0] == ({1: running(1, 10)}, [])
    assert output.getvalue().count("trial   1  in epoch 1/10: step 10/40, loss 0.750") == 1
