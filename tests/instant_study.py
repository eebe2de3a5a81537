"""The study of trials that train nothing (tests/instant_trial.py), on the smallest data set; all else of it is real."""

from pathlib import Path

from search.study.settings import Settings
from search.study.space import make_space
from search.study.study import new_study
from search.tuning.cluster.resources import Resources
from search.tuning.plan import Plan
from tests import tiny
from trainables.config import TrialConfig
from trainables.data import load_dataset

SPACE = """
def suggest(trial):
    return {
        "head": trial.suggest_categorical("head", ["segformer", "fpn", "unet"]), "backbone": "resnet18",
        "lr": trial.suggest_float("lr", 1e-5, 1e-1, log=True), "weight_decay": trial.suggest_float("wd", 0.0, 0.1),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5), "pretrained": False, "image_size": "48x32", "epochs": 3,
    }
"""


def instant_plan(directory: Path, trials: int) -> Plan:
    """Return the plan of a study in `directory` of so many trials of three epochs, two side by side."""
    space = directory / "instant.py"
    space.write_text(SPACE)
    data = tiny.write_data(directory / "data")
    places = {"runs_dir": directory / "runs", "cache_dir": directory / "cache"}
    settings = Settings(name="instant", space=str(space), data=str(data), trials=trials, grace_period=1, **places)
    study = new_study(settings, load_dataset(data), tiny.SPLITS)
    first = TrialConfig.from_dict(make_space(settings).first())
    return Plan(study, settings, make_space(settings), [], [first], Resources(cpus=1, gpus=0.0, concurrency=2))
