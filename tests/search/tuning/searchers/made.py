"""A small space, results of its trials, and whole studies."""

from search.study.settings import Settings
from trainables.files import write_json
from trainables.study_data import OBJECTIVE
from trainables.trial.files import TrialFiles

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


def write_study(directory, trials, *, failures=(), refit=None, grid=(), name=None):
    """A study whose trials have these suggestions and scores, epoch by epoch, as a search leaves it."""
    made = Settings(grid=grid)
    manifest = {
        "format_version": 2,
        "id": directory.name * 2,
        "name": name or directory.name,
        "settings": made.lasting() | made.remembered(),
        "data": {"root": "/", "fingerprint": "1", "class_names": ["background", "a"]},
        "splits": {"holdout": [], "folds": [], "test": [], "seed": 0},
        "refit": refit,
        "code_version": "1",
    }
    directory.mkdir()
    write_json(directory / "study.json", manifest)
    for number, (sampled, scores) in enumerate(trials, start=1):
        files = TrialFiles(directory / "trials" / f"{number:04d}")
        files.directory.mkdir(parents=True)
        write_json(files.suggestion, {"params": {}, "sampled": sampled})
        for epoch, score in enumerate(scores, start=1):
            files.append_record({"epoch": epoch, OBJECTIVE: score})
        failure = "nan" if number in failures else None
        status = "failed" if failure else "completed"
        files.write_verdict({"status": status, "epochs": len(scores), "failure": failure})
