"""A small space, and results of its trials."""

from trainables.study_data import OBJECTIVE

EPOCHS = 9


def suggest(trial):
    head = trial.suggest_categorical("head", ["unet", "fpn"])
    rate = "adam_lr" if head == "unet" else "sgd_lr"
    return {"head": head, "lr": trial.suggest_float(rate, 1e-4, 1e-2, log=True), "epochs": EPOCHS}


def result(epoch, miou, **more):
    return {"epoch": epoch, OBJECTIVE: miou, **more}


def told(searcher):
    """What Optuna knows: (state, value, intermediate values) per trial."""
    return [(trial.state, trial.value, trial.intermediate_values) for trial in searcher.study.trials]
