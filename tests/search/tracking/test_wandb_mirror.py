"""Weights & Biases gets what MLflow gets, by the same names, and a search does not depend on it."""

import logging
import struct
import time

import pytest

from search.study.settings import Settings
from search.tracking.wandb_mirror import WandbMirror, open_mirror
from trainables.errors import UserError

RECORDS = [{"epoch": epoch, "holdout/miou": 0.1 * epoch, "holdout/iou/Paper": 0.2, "lr": 0.01} for epoch in (1, 2, 3)]


def log_records(data):
    """The records of a .wandb file: LevelDB's log format after a header of seven bytes, in blocks of 32 KiB."""
    position, parts = 7, []
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        size, kind = struct.unpack_from("<HB", data, position + 4)
        parts.append(data[position + 7 : position + 7 + size])
        position += 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            yield b"".join(parts)
            parts = []


def read_back(files, wandb_internal_pb2):
    """The configuration and the steps of each run, by its name; None is the name of a run that says none."""
    found = {}
    for file in files:
        name, config, steps = None, {}, []
        for data in log_records(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.HasField("run"):
                name = name or record.run.display_name
                config |= {item.key: item.value_json for item in record.run.config.update}
                assert record.run.run_group == "night"
            if record.HasField("history"):
                steps.append({item.key or "/".join(item.nested_key): item.value_json for item in record.history.item})
        found[name] = (config, steps)
    return found


def test_offline_runs_hold_what_was_logged(tmp_path, monkeypatch):
    """By the real package, without a network: what it wrote is read back by its own reader."""
    pytest.importorskip("wandb", reason="this test needs the optional package wandb")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    mirror = open_mirror("night", "0123456789abcdef", tmp_path / "wandb")
    for number in (1, 2):  # side by side
        mirror.start_trial(number, {"head": "unet", "lr": 0.01})
    for number in (1, 2):
        mirror.log_epochs(number, RECORDS[:2])
        mirror.log_epochs(number, RECORDS)  # what it has is not logged again
    mirror.end_trial(1, {"segvote.status": "completed"}, failed=False)
    mirror.close()

    files = sorted((tmp_path / "wandb").glob("**/*.wandb"))
    assert len(files) == 2
    found, until = read_back(files, wandb_internal_pb2), time.monotonic() + 60
    while None in found and time.monotonic() < until:  # a process of the package's own writes them
        time.sleep(0.5)
        found = read_back(files, wandb_internal_pb2)
    assert sorted(found) == ["night-0001", "night-0002"]
    for config, steps in found.values():
        assert (config["head"], config["lr"]) == ('"unet"', "0.01")
        assert [float(step["holdout/miou"]) for step in steps] == pytest.approx([0.1, 0.2, 0.3])
        assert float(steps[0]["holdout/iou/Paper"]) == 0.2


def test_what_fails_is_said_and_ends_nothing(tmp_path, caplog):
    def refuse(**_):
        raise RuntimeError("no such key")

    mirror = WandbMirror(refuse, "night", "0123", tmp_path)
    with caplog.at_level(logging.WARNING):
        mirror.start_trial(1, {})
        mirror.log_epochs(1, RECORDS)
        mirror.end_trial(1, {}, failed=True)
        mirror.close()
    assert "no such key" in caplog.text


def test_a_missing_package_is_said_before_anything_is_done(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="--wandb needs the package wandb"):
        Settings(wandb=True)
