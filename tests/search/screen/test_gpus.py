"""The GPUs that a batch system gives are counted, instead of those of the machine."""

import pytest

from search.screen import gpus


@pytest.mark.parametrize(
    ("there", "named", "expected"),
    [(8, None, 8), (8, "3", 1), (8, "0,1, 5", 3), (8, "", 0), (8, "-1", 0), (1, "MIG-a,MIG-b", 1), (0, "0", 0)],
)
def test_only_the_gpus_that_are_given_count(monkeypatch, there, named, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr(gpus, "read_gpus", lambda: [object()] * there)
    assert gpus.visible_gpus() == expected
