"""`compile`: the steps of torch.compile are those of the model itself, and where there is no compiler it says so."""

import pytest
import torch
from torch._inductor import config as inductor

from tests import tiny
from trainables.errors import UserError
from trainables.hardware.compiling import compiled
from trainables.training import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def nothing_compiled_before(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_without_a_compiler_compile_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(
        UserError, match=r"torch.compile cannot make kernels for fcn on mit_b0 \(.+\): leave compile false"
    ):
        compiled(torch.sin, of="fcn on mit_b0")(torch.ones(5))


@pytest.mark.long  # minutes of a C++ compiler
def test_a_compiled_step_is_the_same_as_the_models_own(study):
    how = {"optimizer": "sgd", "lr": 0.1, "dropout": 0.0, "batch_size": 6}
    ours, plain = (Trainer(tiny.config(compile=compile, **how), study) for compile in (True, False))
    assert len(ours.batches) == 1
    before = [weight.clone() for weight in plain.model.parameters()]
    record, expected = ours.run_epoch(), plain.run_epoch()
    assert record["train/loss"] == pytest.approx(expected["train/loss"], rel=1e-5)
    for mine, theirs, start in zip(ours.model.parameters(), plain.model.parameters(), before, strict=True):
        torch.testing.assert_close(mine - start, theirs - start, rtol=1e-2, atol=1e-5)
