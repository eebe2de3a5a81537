"""Why a trial broke is said in words about the trial, also where Ray speaks of actors and workers."""

from types import SimpleNamespace

import pytest

from search.tuning.why_broken import DIED, why_broken


def written(tmp_path, text):
    (tmp_path / "error.txt").write_text(text, encoding="utf-8")
    return SimpleNamespace(error_file=str(tmp_path / "error.txt"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Task was killed due to the node running low on memory.\nMemory on …", "its machine ran low on memory"),
        ("The actor died unexpectedly …\n\tpid: 7\nThe actor is dead because its node has died. …", "was lost"),
        ("The actor died unexpectedly …\n\tpid: 7\nThe actor is dead because its worker process has died. …", DIED),
        ("Traceback\n  …\nOSError: No space left on device\n\n", "OSError: No space left on device"),
        ("", DIED),
    ],
)
def test_the_last_failure_counts(tmp_path, text, words):
    assert words in why_broken(written(tmp_path, f"Failure # 1 (…)\nValueError: earlier\nFailure # 2\n{text}"))


def test_without_a_file_its_process_died(tmp_path):
    assert why_broken(SimpleNamespace(error_file=None)) == DIED
    assert why_broken(SimpleNamespace(error_file=str(tmp_path / "none"))) == DIED
