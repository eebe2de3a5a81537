"""`python -m tests.benchmarks.recording.collect DIR…`: from recordings to the files in tests/benchmarks/data."""

import io
import json
import lzma
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks.recorded_pool import DATA_SETS, FILE, packed, photos_of
from tests.benchmarks.recorded_shifts import FILE as SHIFTS
from tests.benchmarks.recording.space import HEADS
from trainables.config import TrialConfig
from trainables.models import build_model

BEST, RUNS = 9, 14  # of a design, whose class maps are kept: so many of the best, and so many in all
CLASSES = {"camvid": 12, "garbage6": 7}


def main(directories: Sequence[Path]) -> None:
    """Write curves.npz and shifts.npz."""
    write_curves(directories)
    write_shifts(directories)


def write_shifts(directories: Sequence[Path]) -> None:
    """Write the class maps of all outputs, a quarter of the pixels that were recorded, of RUNS runs a design."""
    names = sorted({name for place in directories for name in _outputs(place) if not name.endswith("/all")})
    names = [name for name in names if not name.partition("/")[0].endswith("-small")]
    if not names:  # of the small designs curves alone are recorded
        return
    arrays: dict[str, np.ndarray] = {"outputs": np.frombuffer(json.dumps(names).encode(), np.uint8)}
    for design in sorted({name.partition("/")[0] for name in names}):
        chosen = _chosen(directories, design)
        for name in (name for name in names if name.startswith(f"{design}/")):
            maps, target, ids = _maps(directories, name)
            maps = maps.reshape(*target.shape, -1)[..., [ids.index(run) for run in chosen if run in ids]]
            maps, target = maps[:, ::2, ::2], target[:, ::2, ::2]
            arrays[f"{name}:maps"], arrays[f"{name}:target"] = packed(maps.reshape(target.size, -1)), packed(target)
    np.savez(SHIFTS, **arrays)
    print(f"{SHIFTS}: {SHIFTS.stat().st_size / 2**20:.2f} MiB, {len(names)} outputs")


def _outputs(directory: Path) -> list[str]:
    found = []
    for file in directory.glob("maps-*.zip"):
        with zipfile.ZipFile(file) as archive:
            found += [name.removesuffix(".runs.json") for name in archive.namelist() if name.endswith(".runs.json")]
    return found


def _chosen(directories: Sequence[Path], design: str) -> list[str]:
    """The best runs of a design and some weaker ones, as a pool to vote with has them."""
    scores = {run["id"]: run["miou"][-1] for run in _runs(directories, design)}
    _, _, kept = _maps(directories, f"{design}/holdout")
    ranked = sorted(kept, key=lambda run: -scores.get(run, 0.0))
    weaker = ranked[BEST:]
    places = np.linspace(0, 0.7 * len(weaker), RUNS - BEST, endpoint=False).astype(int)
    return ranked if len(ranked) <= RUNS else ranked[:BEST] + [weaker[place] for place in places]


def write_curves(directories: Sequence[Path]) -> None:
    """Write the learning curves and the class maps at their ends; data sets that were not recorded anew stay."""
    with np.load(FILE, allow_pickle=False) as known:
        arrays = dict(known)
    for name in DATA_SETS:
        runs = _runs(directories, name)
        if not runs:
            continue
        maps, target, ids = _maps(directories, f"{name}/all")
        chosen = [ids.index(run["id"]) for run in runs]
        trials = [
            {
                **{key: run[key] for key in ("id", "params", "config", "parameters")},
                "gflops": _gflops(run["config"], name),
            }
            for run in runs
        ]
        description = {"num_classes": CLASSES[photos_of(name)], "trials": trials}
        arrays[f"{name}/trials"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
        for key in ("miou", "loss", "seconds"):
            arrays[f"{name}/{key}"] = np.array([run[key] for run in runs], np.float32)
        arrays[f"{name}/target"], arrays[f"{name}/predictions"] = packed(target), packed(maps[:, chosen])
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {FILE.stat().st_size / 2**20:.2f} MiB")


def _runs(directories: Sequence[Path], design: str) -> list[dict[str, Any]]:
    """The finished runs of a design whose head is in the space, in order of their numbers."""
    found = [run for place in directories for run in json.loads((place / "curves.json").read_text())["runs"]]
    found = [run for run in found if run["design"] == design and "failed" not in run]
    return sorted((run for run in found if run["config"]["head"] in HEADS), key=lambda run: run["id"])


def _maps(directories: Sequence[Path], output: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Class maps uint8 (pixels, runs) of one output, its target uint8 (photos, h, w), and the runs' ids."""
    maps, ids = [], []
    for directory in directories:
        for file in sorted(directory.glob("maps-*.zip")):
            with zipfile.ZipFile(file) as archive:
                if f"{output}.runs.json" in archive.namelist():
                    maps.append(_array(archive.read(f"{output}.maps.npy.xz")))
                    target = _array(archive.read(f"{output}.target.npy.xz"))
                    ids += json.loads(archive.read(f"{output}.runs.json"))
    return np.concatenate(maps, axis=1), target, ids


def _array(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(lzma.decompress(data)), allow_pickle=False)


def _gflops(config: dict[str, Any], data_set: str) -> float:
    size = TrialConfig.from_dict(config).size
    names = {"head": config["head"], "backbone": config["backbone"], "num_classes": CLASSES[photos_of(data_set)]}
    with torch.device("meta"):
        model = build_model(**names, pretrained=False, image_size=size).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, *size))
    return counter.get_total_flops() / 1e9


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
