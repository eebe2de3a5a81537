"""The cores that batch systems and containers give are counted, instead of those of the machine."""

import os

import pytest

from trainables.hardware import cores

V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        (None, {}, 8),
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "400000 100000"}, 4),
        ("0::/\n", {"cpu.max": "250000 100000"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "1600000 100000"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000", "cpu.max": "300000 100000"}, 2),
        ("0::/../other\n", {"cpu.max": "300000 100000"}, 3),
        (None, {V1[0]: "300000", V1[1]: "100000"}, 3),
        ("1:cpu:/\n", {V1[0]: "-1", V1[1]: "100000"}, 8),
        ("1:cpu:/\n0::/\n", {V1[0]: "200000", V1[1]: "100000", "cpu.max": "nonsense"}, 2),
    ],
)
def test_the_limits_of_groups_of_processes_count(monkeypatch, tmp_path, own, files, expected):
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    if own is not None:
        (tmp_path / "own").write_text(own)
    monkeypatch.setattr(cores, "OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(cores, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert cores.usable_cores() == expected
