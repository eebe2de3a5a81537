"""Commands of README.md and docs/, read from there and run in one directory, on twenty photos of 64 pixels.

tests/test_docs.py parses all of them. Those that are not run here have their reason in NOT_RUN.
"""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
import ray
from PIL import Image

from search.cli import main
from tests.test_docs import typed_commands

COMMANDS = [param.values[0] for param in typed_commands()]
SPACE = """
def suggest(trial):
    return {
        "head": trial.suggest_categorical("head", ["fpn", "unet"]),
        "backbone": "mobilenetv3_small_050",
        "loss": trial.suggest_categorical("loss", ["ce", "ce_dice_1_3"]),
        "lr": trial.suggest_float("lr", 1e-3, 1e-2, log=True),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "pretrained": False,
        "batch_size": 4,
        "image_size": "32",
        "epochs": 1,
    }
"""
EDITS = "apply_to_holdout: false\nrules:\n  - min_area: {pixels: 60}\n"
SMALL = "--space small.py --concurrency 1 --cpus-per-trial 1"
# What is run, in this order: a documented command, what replaces words of it, and what is typed after it.
RUN = (
    ("python search/run.py --space cnn_heads --data DIR --dry-run", {}, "--no-pretrained --image-size 32"),
    ("python search/run.py --space cnn_heads --data DIR", {}, f"{SMALL} --trials 2 --name night"),
    ("python search/run.py --space swin_heads --data DIR --name night --resume", {}, SMALL),
    (
        "python search/run.py --space cnn_heads --data new_photos --name new --learn-from old older",
        {"new_photos": "DIR", "old": "night", "older": ""},
        f"{SMALL} --dry-run",
    ),
    ("segvote search --data my_photos --edits edits.yaml", {"my_photos": "DIR"}, f"{SMALL} --trials 1 --name swin-big"),
    ("segvote search --data my_photos --grid fold=0,1,2,3,4 --name folds", {"fold=0,1,2,3,4": "fold=0,1"}, SMALL),
    ("segvote ensemble --studies night swin-big --max-members 7", {}, "--mixed-edits --name monday"),
    (
        "segvote ensemble --studies night swin-big --where \"params.head = 'upernet'\" --min-miou 0.4 --max-members 7",
        {"upernet": "fpn", "0.4": "0.0"},
        "--mixed-edits",
    ),
    ("segvote predict --ensemble runs/night --images data/test.json --out answer --write csv maps overlays", {}, ""),
    (
        "segvote predict --ensemble runs/night --images data/test.json --out answer --write csv maps overlays coco",
        {},
        "",
    ),
    ("segvote report --study night", {}, ""),
    ("segvote status --study night --watch 10", {"--watch": "--json", "10": ""}, ""),
    ("segvote foresee --ensemble runs/night --images unlabelled/", {}, ""),
    ("segvote foresee --ensemble monday --images new_photos", {}, ""),
    ("segvote foresee --ensemble monday --halves 500", {}, ""),
    (
        "segvote refit --ensemble runs/night --seeds 3",
        {"3": "1"},
        "--name again --concurrency 1 --cpus-per-trial 1",
    ),
    ("segvote export --ensemble runs/night --name litter", {}, ""),
    (
        "segvote export --ensemble runs/night --name litter --format torch-export torchscript",
        {"litter": "litter-files"},
        "",
    ),
    ("segvote data import yolo my_yolo --out my_photos", {"my_photos": "imported"}, ""),
    ("segvote data report --data my_photos", {}, ""),
    ("segvote data report --no-photos --data annotations.json", {}, "--out annotations-report"),
    ("segvote data show --data my_photos", {}, ""),
    ("segvote data show --data my_photos --class Paper", {}, ""),
    ("segvote data show --data my_photos --annotations-of 0084.jpg", {"0084.jpg": "images/train/0000.jpg"}, ""),
    ("segvote data show --data my_photos --augment", {}, "--image-size 32"),
    ("segvote data folds --data my_photos --folds 5", {}, ""),
    ("segvote data compare before/train.json after/train.json", {}, ""),
    ("segvote data suspects --study folds", {}, ""),
)
NOT_RUN = {
    "it serves pages until it is stopped: test_command_line.py starts it": ("segvote ui",),
    "it needs a cluster": (
        "python search/run.py --space swin_heads --data /shared/data --address auto --gpus-per-trial 1 --concurrency 8",
    ),
    "it trains for hours": (
        "python search/run.py --space swin_heads --data DIR --name night",
        "python search/run.py --space cnn_heads --data DIR --fix backbone=resnet50 --grid loss",
    ),
    "networks of one epoch see nothing but background: test_refit.py makes pseudo-labels": (
        "segvote pseudo --ensemble runs/night --images unlabelled/ --out P",
    ),
    "it is a grid as that of the folds, with more trials": (
        "segvote search --data my_photos --grid edits=none,edits.yaml",
        "--grid loss=ce,ce_dice_3_1,focal --seeds 3 --all-folds --folds 3",
    ),
    "it needs the published weights of a large backbone, or CamVid": ("--init-from swin.pth", "--data camvid"),
}


def reason_against(command: str) -> str | None:
    """Return why the command is not run; None where there is no reason."""
    return next((reason for reason, parts in NOT_RUN.items() if any(part in command for part in parts)), None)


def test_every_command_is_run_or_has_a_reason():
    run = {command for command, _, _ in RUN}
    assert run <= set(COMMANDS)  # a command that the pages lack by now is no longer theirs
    assert [one for one in COMMANDS if one not in run and not reason_against(one)] == []


@pytest.fixture
def directory(line):
    """The files that the documented commands name."""
    here = line.directory
    (here / "small.py").write_text(SPACE)
    (here / "edits.yaml").write_text(EDITS)
    for name in ("DIR", "my_photos", "data"):
        (here / name).symlink_to(line.data)
    for name in ("before", "after"):
        (here / name).mkdir()
        shutil.copy(line.data / "train.json", here / name)
    shutil.copy(line.data / "train.json", here / "annotations.json")
    photos = sorted((line.data / "images").rglob("*.jpg"))
    for name in ("unlabelled", "new_photos"):
        (here / name).mkdir()
        for photo in photos[:3]:
            shutil.copy(photo, here / name)
    yolo = here / "my_yolo"
    for folder in ("images/train", "images/val", "labels/train"):
        (yolo / folder).mkdir(parents=True)
    (yolo / "data.yaml").write_text("names: [Paper, Glass]\ntrain: images/train\nval: images/val\n")
    Image.new("RGB", (40, 20)).save(yolo / "images/train/a.jpg")
    (yolo / "labels/train/a.txt").write_text("1 0.1 0.1 0.8 0.2 0.35 0.9\n")
    return here


def typed(command: str, replaced: dict[str, str], added: str) -> list[str]:
    """Return the arguments of `segvote` for a documented command."""
    for old, new in replaced.items():
        assert old in command
        command = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", new, command)
    words = shlex.split(f"{command} {added}")
    return ["search", *words[2:]] if words[0] == "python" else words[1:]


def test_the_documented_commands_run(directory, monkeypatch):
    monkeypatch.setenv("HOME", str(directory))  # the cache of decoded photos is below it
    monkeypatch.chdir(directory)
    for command, replaced, added in RUN:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            try:
                code = main(typed(command, replaced, added))
            finally:
                ray.shutdown()
        assert code == 0, f"{command}\n{shown.getvalue()}"
    for left in (
        "runs/night/report.html",
        "runs/ensembles/monday/ensemble.json",
        "answer/submission.csv",
        "answer/results.json",
        "runs/again/ensemble.json",
        "runs/exported/litter/ensemble.json",
        "runs/exported/litter-files/members/01/model.pt2",
        "imported/train.json",
        "data-report/report.html",
        "data-folds/folds.png",
    ):
        assert Path(left).is_file(), left
    assert len(list(Path().glob("runs/foreseen/unlabelled-night-*/foresee.json"))) == 1
