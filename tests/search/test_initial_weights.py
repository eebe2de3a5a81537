"""--init-from is looked at before a study starts: what fits is shown, what does not is an error."""

from io import StringIO
from types import SimpleNamespace

import pytest
import timm
import torch
from rich.console import Console

from search import search_steps
from search.search_steps import _show_initial_weights
from search.study.settings import Settings
from search.study.space import make_space
from trainables.config import TrialConfig
from trainables.errors import UserError


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save({"model": timm.create_model("resnet18").state_dict()}, path)
    return str(path)


def shown(space, backbones):
    console = Console(file=StringIO(), width=300)
    _show_initial_weights(TrialConfig.from_dict(space.first()), backbones, console)
    return console.file.getvalue()


def test_every_trial_starts_from_the_file(checkpoint):
    space = make_space(Settings(space="quickstart", init_from=checkpoint, init_partial=True))
    first = space.first()
    assert (first["init_from"], first["init_partial"]) == (checkpoint, True)


def test_the_report_is_shown_before_the_study(checkpoint):
    space = make_space(Settings(space="quickstart", init_from=checkpoint, fix=("backbone=resnet18",)))
    lines = shown(space, ["resnet18"]).splitlines()
    assert lines[0].startswith("initial weights mine.pth, in timm's names: 1")
    assert "left out (in the file, not in the backbone): fc.weight, fc.bias" in lines[2]


def test_a_file_of_another_backbone_stops_the_study(checkpoint):
    space = make_space(Settings(space="quickstart", init_from=checkpoint, fix=("backbone=resnet34",)))
    with pytest.raises(UserError, match="less than 90%"):
        shown(space, ["resnet34"])


def test_the_backbone_must_be_pinned(checkpoint):
    space = make_space(Settings(space="quickstart", init_from=checkpoint))
    with pytest.raises(UserError, match="the trials have resnet18, resnet34: pin it, as with --fix backbone=resnet18"):
        shown(space, ["resnet18", "resnet34"])


def test_weights_that_do_not_fit_are_said_before_training_steps_are_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(search_steps, "_show_cpu_time", lambda *_: pytest.fail("steps were timed"))
    monkeypatch.setattr(search_steps, "_trials_in_words", lambda _: "1 trial")
    splits = SimpleNamespace(holdout=[], folds=[], test=[])
    data = SimpleNamespace(splits=splits, pseudo=None)
    plan = SimpleNamespace(
        study=SimpleNamespace(name="mine", directory=tmp_path, data=data, overlap=None, learnt=None),
        settings=SimpleNamespace(dry_run=True),
        space=SimpleNamespace(name="mine", choices={}, fixed={}),
        suggestions=["one"],
        configs=[TrialConfig(head="fpn", backbone="resnet18", init_from=str(tmp_path / "none.pth"))],
        resources=SimpleNamespace(gpus=0),
    )
    with pytest.raises(UserError, match=r"none\.pth"):
        search_steps.show_plan(plan, SimpleNamespace(summary="no photos"), Console(quiet=True))
