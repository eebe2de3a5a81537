"""The cores that batch systems and containers give are counted, instead of those of the machine."""

import os

import pytest

from trainables.hardware import cores


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], 8),
        ([["max 100000"]], 8),
        ([["400000 100000"]], 4),
        ([["250000 100000"]], 2),
        ([["50000 100000"]], 1),
        ([["1600000 100000"]], 8),
        ([["300000", "100000"]], 3),
        ([["-1", "100000"]], 8),
        ([["nonsense"], ["200000", "100000"]], 2),
    ],
)
def test_the_limit_of_a_container_counts(monkeypatch, tmp_path, files, expected):
    named = [[tmp_path / f"{one}-{other}" for other in range(len(texts))] for one, texts in enumerate(files)]
    for paths, texts in zip(named, files):
        for path, text in zip(paths, texts):
            path.write_text(f"{text}\n")
    monkeypatch.setattr(cores, "QUOTA_FILES", [[tmp_path / "missing"], *named])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert cores.usable_cores() == expected
