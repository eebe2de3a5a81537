"""Studies that look as if they had run for days, made in seconds: the files are real, the scores are drawn."""

import dataclasses
import json
from typing import Any

import numpy as np
import optuna

from ensembling import read_predictions, write_predictions
from ensembling.predictions import Predictions
from ensembling.runs.candidates import Candidate
from ensembling.runs.ensemble import EnsembleRecord, save_ensemble
from search.commands.ensemble.options import EnsembleOptions
from search.commands.ensemble.record import select_and_assess
from search.study.study import Study
from search.study.trial_end import holdout_masks, write_target
from search.tuning.schedulers.rungs import rungs
from spaces import cnn_heads
from trainables.config import parse_size
from trainables.files import write_json

STARTED = 1_790_000_000.0  # seconds since 1970
WORKERS = 8
EFFECT = {"unet": 0.03, "ocr": 0.05, "fcn": -0.04, "ce_dice_3_1": 0.03, "focal": -0.05, "sgd": -0.06, "strong": 0.02}


def make_search(study: Study, *, trials: int, epochs: int, voters: int = 0, seed: int = 0, size: str = "48x32") -> None:
    """Write the ledger of a search of cnn_heads under ASHA, with the predictions of its best `voters` trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    rng = np.random.default_rng(seed)
    clocks, seen = np.full(WORKERS, STARTED), {rung: [] for rung in rungs(epochs, max(1, epochs // 9), 3)}
    ends: dict[int, float] = {}
    for number in range(1, trials + 1):
        trial = sampler.ask()
        params = {**cnn_heads.suggest(trial), "epochs": epochs, "image_size": size, "pretrained": False}
        worker = int(clocks.argmin())
        records, status = _train(params, epochs, seen, clocks[worker], rng, study.data.class_names)
        clocks[worker] = records[-1]["time"] + 20
        _write(study, number, params, dict(trial.params), records, "failed" if rng.random() < 0.02 else status)
        ends[number] = max(record["holdout/miou"] for record in records)
    best = sorted(ends, key=lambda number: -ends[number])[:voters]
    if best:
        make_votes(study, {number: 0.5 - ends[number] / 2 for number in best}, size=parse_size(size))


def make_grid(study: Study, points: list[dict[str, Any]], score: Any, *, epochs: int = 3) -> None:
    """Write the ledger of a grid; `score` says what a point ends with."""
    for number, params in enumerate(points, start=1):
        records = [
            {"epoch": epoch, "holdout/miou": score(params) * epoch / epochs, "train/loss": 1 / epoch, "epoch_s": 2.0}
            for epoch in range(1, epochs + 1)
        ]
        _write(study, number, {**params, "epochs": epochs}, {}, records, "completed")


def _train(params, epochs, seen, clock, rng, class_names) -> tuple[list[dict[str, Any]], str]:
    quality = 0.55 + sum(EFFECT.get(str(value), 0) for value in params.values()) + rng.normal(0, 0.03)
    quality -= 0.05 * abs(np.log10(params["lr"]) + 3)
    pace, seconds, records = rng.uniform(2, epochs / 3 + 2), rng.uniform(60, 240), []
    for epoch in range(1, epochs + 1):
        miou = float(np.clip(quality * (1 - np.exp(-epoch / pace)) + rng.normal(0, 0.008), 0.01, 0.95))
        clock += seconds
        each = np.clip(miou + np.linspace(0.3, -0.3, len(class_names)), 0, 1)
        fold = {"fold/miou": miou - 0.02 * params["fold"]} if "fold" in params else {}
        scores = {"holdout/miou": miou, **fold, **dict(zip((f"holdout/iou/{n}" for n in class_names), each.tolist()))}
        kept = {"epoch_s": seconds, "time": clock, "peak_memory_gb": 10.0}
        records.append({"epoch": epoch, "train/loss": 2.5 / (1 + epoch / pace), "lr": params["lr"], **scores, **kept})
        if epoch in seen:
            seen[epoch].append(miou)
            if epoch < epochs and miou < np.quantile(seen[epoch], 2 / 3):
                return records, "stopped"
    return records, "completed"


def _write(study: Study, number: int, params: dict, sampled: dict, records: list[dict], status: str) -> None:
    files = study.trial_files(number)
    write_json(files.suggestion, {"params": params, "sampled": sampled})
    files.epochs.write_text("".join(json.dumps(record) + "\n" for record in records))
    failure = "the training loss became nan at epoch 3" if status == "failed" else None
    write_json(files.verdict, {"status": status, "epochs": len(records), "failure": failure})


def make_votes(study: Study, errors: dict[int, float], *, size: tuple[int, int] = (32, 48)) -> EnsembleRecord:
    """Write each trial's predictions, `errors` of whose regions are wrong, and the ensemble that is selected."""
    packed = study.data.open(size)
    if not study.target_file.exists():
        write_target(study, packed, holdout_masks(study, packed))
    target = read_predictions(study.target_file)
    candidates = [_vote(study, target, number, error) for number, error in errors.items()]
    options = EnsembleOptions(studies=(study.name,), runs_dir=study.directory.parent)
    ensemble = select_and_assess(candidates, target, options)
    save_ensemble(study.ensemble_file, ensemble)
    return ensemble


def _vote(study: Study, target: Predictions, number: int, error: float) -> Candidate:
    rng = np.random.default_rng(number)
    maps = [_blunder(class_map, error, len(target.class_names), rng) for _, class_map in target.maps()]
    predictions = dataclasses.replace(target, pixels=np.concatenate([one.reshape(-1) for one in maps]))
    files = study.trial_files(number)
    write_predictions(files.predictions, predictions)
    name = f"{study.name}-{number:04d}"
    params = {key: str(value) for key, value in files.read_suggestion()["params"].items()}
    return Candidate(f"run{number:029d}", name, study.name, number, params, 1_790_000_000_000, predictions)


def _blunder(class_map: np.ndarray, error: float, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """The map, shifted by some pixels, in which some classes are taken for others."""
    reach = max(1, round(0.1 * error * max(class_map.shape)))
    shifted = np.roll(class_map, tuple(rng.integers(-reach, reach + 1, 2)), axis=(0, 1)).copy()
    for class_id in np.unique(class_map):
        if rng.random() < error:
            shifted[shifted == class_id] = rng.integers(0, num_classes)
    return np.where(shifted == 255, 0, shifted).astype(np.uint8)
