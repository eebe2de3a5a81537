"""Worker processes that import PyTorch when they start, as many as trials run side by side."""

import os
import subprocess
import sys
from pathlib import Path

from trainables.trial.imports_ahead import MODULE, import_ahead

ROOT = Path(__file__).resolve().parents[3]
LIKE_RAY = "import importlib, os, sys; importlib.import_module(os.environ['RAY_preload_python_modules']); "


def started(environment):
    """Return whether a process that imports what Ray's environment says has PyTorch then."""
    say = LIKE_RAY + "print('torch' in sys.modules)"
    environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", say], env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip() == "True"


def test_as_many_processes_import_ahead_as_were_asked_for(tmp_path):
    environment = import_ahead(1, tmp_path)
    assert [started(environment) for _ in range(3)] == [True, False, False]


def test_no_process_imports_ahead_unless_it_is_asked_for(tmp_path):
    assert started(import_ahead(0, tmp_path)) is False
    assert started({"RAY_preload_python_modules": MODULE}) is False
