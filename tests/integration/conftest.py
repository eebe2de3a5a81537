"""What the integration tests share: a small data set, a store for MLflow, and the command line as users type it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from filelock import FileLock
from mlflow.tracking import MlflowClient

from search.cli import main
from search.tracking.store import connect, create_store, default_tracking_uri
from trainables.data.sample.dataset import write_sample

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 400
WITHOUT_CACHE = ("export", "predict")  # commands that decode no data set

# Ray's workers give way to everything else, as a rule; here that is the other test process.
os.environ.setdefault("RAY_worker_niceness", "0")


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all test processes of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def data_dir(shared_dir: Path) -> Path:
    return write_sample(shared_dir / "tiny-data", train=20, val=6, test=2, size=64)


@pytest.fixture(scope="session")
def empty_store(shared_dir: Path) -> Path:
    """An empty SQLite store: making one takes half a minute, copying it nothing."""
    with FileLock(shared_dir / "store.lock"):
        create_store(shared_dir / "store")
    return shared_dir / "store" / "mlflow.db"


@dataclass
class CommandLine:
    """`segvote` in a directory of its own, with its runs and its cache there."""

    directory: Path
    data: Path

    @property
    def runs(self) -> Path:
        return self.directory / "runs"

    def start(self, *arguments: str, command: str = "search") -> subprocess.Popen:
        """Starts `segvote COMMAND …` as a session of its own, so that signals reach it alone."""
        console = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from search.cli import main; sys.exit(main())"
        start = [str(ROOT / "search" / "run.py")] if command == "search" else ["-c", console, command]
        cache = [] if command in WITHOUT_CACHE else ["--cache-dir", str(self.directory / "cache")]
        command = [sys.executable, *start, *arguments, *cache]
        out = (self.directory / "output.txt").open("a")
        return subprocess.Popen(
            command, cwd=self.directory, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )

    def run(self, *arguments: str, command: str = "search") -> int:
        process = self.start(*arguments, command=command)
        try:
            return process.wait(timeout=TIMEOUT_S)
        finally:
            process.kill()

    def run_here(self, *arguments: str, command: str = "search") -> int:
        """`run` in this process, which has imported everything: a new one takes many seconds for that."""
        typed = [command, *arguments, "--cache-dir", str(self.directory / "cache")]
        with (
            contextlib.chdir(self.directory),
            (self.directory / "output.txt").open("a") as out,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            try:
                return main(typed)
            finally:
                ray.shutdown()

    def output(self) -> str:
        return (self.directory / "output.txt").read_text()

    def space(self, body: str) -> str:
        """Writes a user's space file; `body` is what suggest(trial) does."""
        path = self.directory / "my_space.py"
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        path.write_text(f"import time\n\n\ndef suggest(trial):\n{lines}\n")
        return str(path)

    def small_space(self, epochs: int, lowest_lr: float = 1e-3) -> str:
        """Writes the space of a small network that trains within seconds."""
        return self.space(f"""
return {{
    "head": "fpn",
    "backbone": "mobilenetv3_small_050",
    "lr": trial.suggest_float("lr", {lowest_lr}, 1e-2, log=True),
    "pretrained": False,
    "batch_size": 4,
    "image_size": "32",
    "epochs": {epochs},
}}
""")

    def records(self, study: str, number: int) -> list[dict]:
        path = self.runs / study / "trials" / f"{number:04d}" / "epochs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def client(self) -> tuple[MlflowClient, str]:
        return connect(default_tracking_uri(self.runs), self.runs)


@pytest.fixture
def line(tmp_path: Path, data_dir: Path, empty_store: Path) -> CommandLine:
    (tmp_path / "runs").mkdir()
    shutil.copy(empty_store, tmp_path / "runs" / "mlflow.db")
    return CommandLine(tmp_path, data_dir)


@pytest.fixture
def wait_for() -> Iterator[Callable[[Callable[[], bool], subprocess.Popen], None]]:
    """Waits until a condition holds while a process runs; whatever happens, the process ends with the test."""
    processes = []

    def wait(condition: Callable[[], bool], process: subprocess.Popen) -> None:
        processes.append(process)
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            assert process.poll() is None, f"the command ended early, with {process.returncode}"
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)

    yield wait
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
