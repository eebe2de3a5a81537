"""`python -m tests.benchmarks.recording --photos FILE --weights DIR --out DIR`: record pools, many runs side by side.

Each worker process takes the next run that nobody has taken, trains it and writes what it was. When the time is up what
is finished is packed: curves.json (every learning curve and configuration), and of each design a zip file of the class
maps of its best runs. See designs.py for what is trained and predicted, and space.py for the configurations.
"""

import argparse
import io
import json
import lzma
import multiprocessing
import os
import signal
import sys
import time
import traceback
import zipfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.recording.designs import Design, make_designs, with_shifts
from tests.benchmarks.recording.photos import read_photos
from tests.benchmarks.recording.space import CURVES, TOO_SLOW, Draw, good, suggest

EARLIER = 0.6  # pools to vote with are recorded in the first six tenths of the time
KEPT = {"camvid": 18, "garbage6": 18}  # runs whose class maps on all outputs are packed; of others all
PACKING_S = 25.0  # 7 s were enough for 54 runs


def main() -> None:
    options = _options()
    options.started = options.started or time.time()
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.worker is not None:
        return _work(options, options.worker)
    import timm  # noqa: F401 (imported before the workers are forked, which then need not)

    import tests.benchmarks.recording.training  # noqa: F401

    _say(options, f"imported; {len(_jobs(options))} runs to do")
    if not options.curves_only:
        with ProcessPoolExecutor(options.processes, multiprocessing.get_context("fork")) as pool:
            list(pool.map(_write_shifts, [(options, design.name) for design in _designs(options)]))
        _say(options, "shifted photos made")
    workers = []
    for number in range(options.processes):
        child = os.fork()
        if child == 0:
            _be_worker(options, number)
        workers.append(child)
    _wait(options, workers)
    _pack(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recording", description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, required=True, help="made by tests.benchmarks.recording.photos")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the backbones' safetensors files")
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--work", type=Path, default=Path("/tmp/recording"), help="for what lies between (%(default)s)")
    parser.add_argument("--processes", type=int, default=14, help="runs side by side (%(default)s)")
    parser.add_argument("--seconds", type=float, default=330.0, help="for everything, packing included (%(default)s)")
    parser.add_argument("--epochs", type=int, help="of every run, to try this out")
    parser.add_argument("--runs", type=int, help="of every design, to try this out")
    parser.add_argument("--photos-each", type=int, help="to train on and to predict at most, to try this out")
    parser.add_argument("--design", default="", help="this one alone")
    parser.add_argument(
        "--curves-only", action="store_true", help="learning curves, and class maps of the holdout alone"
    )
    parser.add_argument("--done", type=Path, help="curves.json of an earlier recording: what it has is not done again")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


def _say(options: argparse.Namespace, text: str) -> None:
    print(f"{time.time() - options.started:6.1f} s  {text}", flush=True)


# What there is to do


def _designs(options: argparse.Namespace, *, only: str = "") -> list[Design]:
    designs = make_designs(read_photos(options.photos), only=only or options.design, few=options.photos_each)
    if not options.curves_only:
        return designs
    curves = [design for design in designs if design.name in CURVES]
    return [replace(design, outputs={"holdout": design.outputs["holdout"]}) for design in curves]


def _jobs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All runs in the order in which they are taken: designs take turns, so that a cut-off leaves a balanced pool."""
    done = {run["id"] for run in json.loads(options.done.read_text())["runs"]} if options.done else set()
    jobs = []
    for design in _designs(options, only=options.design):
        runs = options.runs or design.runs
        for number in range(runs):
            draw = Draw(seed=sum(map(ord, design.name)) * 1000 + number)
            config = (suggest if design.name in CURVES else good)(draw)
            if config["head"] == TOO_SLOW.get(design.name):
                continue
            config |= {"epochs": options.epochs or design.epochs, "seed": number, "precision": "fp32"}
            height, width = design.images.shape[1:3]
            config |= {"image_size": f"{width}x{height}", "channels_last": options.curves_only}
            turn = (number + 0.5) / runs * (1 if design.name in CURVES else EARLIER)
            job = {"id": f"{design.name}-{number:03d}", "design": design.name, "turn": turn}
            jobs.append(job | {"config": config, "params": draw.params})
    return sorted((job for job in jobs if job["id"] not in done), key=lambda job: job["turn"])


# The workers


def _be_worker(options: argparse.Namespace, number: int) -> None:
    """In a forked process: work, or begin anew where the device cannot be used after a fork; never return."""
    try:
        import torch

        if torch.cuda.device_count():
            torch.zeros(1, device="cuda")
    except RuntimeError as error:
        _begin_anew(options, number, error)
    try:
        _work(options, number)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _begin_anew(options: argparse.Namespace, number: int, error: Exception) -> None:
    """Replace this process by a new one, three times at most."""
    times = int(os.environ.get("RECORDING_RESTARTS", "0")) + 1
    print(f"worker {number} starts anew: {type(error).__name__}: {str(error).splitlines()[0][:200]}", flush=True)
    if times > 3:
        os._exit(1)
    os.environ["RECORDING_RESTARTS"] = str(times)
    command = [sys.executable, "-m", "tests.benchmarks.recording", *sys.argv[1:]]
    os.execv(sys.executable, [*command, "--worker", str(number), "--started", str(options.started)])


def _work(options: argparse.Namespace, number: int) -> None:
    import torch

    from tests.benchmarks.recording.training import OutOfTimeError

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    designs: dict[str, Design] = {}
    slowest: dict[str, float] = {}
    for job in _jobs(options):
        name = job["design"]
        if time.time() + slowest.get(name, 0.0) > options.started + options.seconds - PACKING_S:
            continue
        if not _take(options.work / f"{job['id']}.taken"):
            continue
        if name not in designs:
            designs[name] = _with_written_shifts(options, _designs(options, only=name)[0])
        began = time.time()
        try:
            _record(options, job, designs[name])
        except OutOfTimeError:
            return
        except Exception as error:  # one run's failure is its own
            print(f"{job['id']} failed: {type(error).__name__}: {error}", flush=True)
            if "CUDA" in str(error):  # after most of its faults a process can use the card no more
                _begin_anew(options, number, error)
        slowest[name] = max(slowest.get(name, 0.0), time.time() - began)


def _take(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def _record(options: argparse.Namespace, job: dict[str, Any], design: Design) -> None:
    from tests.benchmarks.recording.training import RecordingTrainer, record_of
    from trainables.config import TrialConfig

    began = time.time()
    trainer = RecordingTrainer(TrialConfig.from_dict(job["config"] | {"weights_dir": str(options.weights)}), design)
    built = time.time() - began
    curve = record_of(trainer, options.started + options.seconds - PACKING_S)
    maps = {name: trainer.maps_of(output.images) for name, output in design.outputs.items()}
    arrays = {name: smaller(one) for name, one in maps.items()}
    _replace(options.work / f"{job['id']}.npz", lambda file: np.savez(file, **arrays))
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    entry = {key: job[key] for key in ("id", "design", "config", "params")} | curve
    entry |= {"parameters": parameters, "steps": len(trainer.batches), "build_s": built, "all_s": time.time() - began}
    _replace(options.work / f"{job['id']}.json", lambda file: file.write(json.dumps(entry).encode()))
    score = f"{curve['miou'][-1]:.4f}" if curve["miou"] else "none"
    print(
        f"{job['id']} {score} {entry['all_s']:.1f} s, {np.median(curve['seconds'] or [0]):.2f} s an epoch", flush=True
    )


def smaller(maps: np.ndarray) -> np.ndarray:
    """Every second pixel of every second line of class maps (N, H, W)."""
    return maps[:, 1::2, 1::2]


def _replace(path: Path, write: Any) -> None:
    with open(f"{path}.part", "wb") as file:
        write(file)
    os.replace(f"{path}.part", path)


# Shifted photos, made once for all workers


def _write_shifts(job: tuple[argparse.Namespace, str]) -> None:
    options, name = job
    (design,) = _designs(options, only=name)
    arrays = {}
    for key, output in with_shifts(design).outputs.items():
        if "/" in key:
            arrays[f"{key}:images"], arrays[f"{key}:masks"] = output.images, output.masks
    _replace(options.work / f"{name}-shifts.npz", lambda file: np.savez(file, **arrays))


def _with_written_shifts(options: argparse.Namespace, design: Design) -> Design:
    from tests.benchmarks.recording.designs import Output

    if options.curves_only:
        return design
    with np.load(options.work / f"{design.name}-shifts.npz", allow_pickle=False) as file:
        for key in {name.split(":")[0] for name in file.files}:
            design.outputs[key] = Output(file[f"{key}:images"], file[f"{key}:masks"])
    return design


# The end


def _wait(options: argparse.Namespace, workers: list[int]) -> None:
    """Until all have ended, or the time is up; the curves so far are written meanwhile."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    running, written = set(workers), 0.0
    while running and time.time() < options.started + options.seconds - 0.5 * PACKING_S:
        time.sleep(0.5)
        running = {child for child in running if os.waitpid(child, os.WNOHANG)[0] == 0}
        if time.time() > written + 20:
            written = time.time()
            runs = _write_curves(options)
            _say(options, f"{len(runs)} runs done, {len(running)} workers")
    for child in running:  # they stop by themselves after the epoch in which the time is up
        os.kill(child, signal.SIGKILL)
    _say(options, "stopped")


def _write_curves(options: argparse.Namespace) -> list[dict[str, Any]]:
    runs = [json.loads(path.read_text()) for path in sorted(options.work.glob("*-*.json"))]
    _replace(options.out / "curves.json", lambda file: file.write(json.dumps({"runs": runs}).encode()))
    return runs


def _pack(options: argparse.Namespace) -> None:
    runs = _write_curves(options)
    tasks = []
    for design in _designs(options):
        done = [run for run in runs if run["design"] == design.name and "failed" not in run]
        ranked = [run["id"] for run in sorted(done, key=lambda run: -run["miou"][-1])]
        design = _with_written_shifts(options, design)
        for name, output in design.outputs.items() if ranked else ():
            best = _spread(ranked, KEPT.get(design.name, len(ranked)))
            tasks.append((options, design.name, name, best, smaller(output.masks)))
        if design.name in CURVES and ranked:
            tasks.append((options, design.name, "all", ranked, smaller(design.outputs["holdout"].masks)))
    tasks.sort(key=lambda task: -len(task[3]) * task[4].size)
    with ProcessPoolExecutor(options.processes) as pool:
        members = list(pool.map(_packed, tasks))
    parts = {}
    for (_, design, name, ids, _), packed in zip(tasks, members):
        file = f"maps-{'other' if design in ('late', 'dusk', 'recycle') else design}.zip"
        parts.setdefault(file, []).append((f"{design}/{name}", ids, packed))
    for file, entries in parts.items():
        with zipfile.ZipFile(options.out / file, "w") as archive:
            for name, ids, (maps, target) in entries:
                archive.writestr(f"{name}.maps.npy.xz", maps)
                archive.writestr(f"{name}.target.npy.xz", target)
                archive.writestr(f"{name}.runs.json", json.dumps(ids))
        _say(options, f"{file} {(options.out / file).stat().st_size / 2**20:.1f} MiB, {len(entries)} outputs")


def _spread(ranked: list[str], count: int) -> list[str]:
    """The best half of `count`, and of the others as many at equal distances: pools have weak runs, too."""
    if len(ranked) <= count:
        return ranked
    others = ranked[count // 2 :]
    places = np.linspace(0, 0.8 * len(others), count - count // 2, endpoint=False).astype(int)
    return ranked[: count // 2] + [others[place] for place in places]


def _packed(task: tuple[Any, ...]) -> tuple[bytes, bytes]:
    """The class maps (pixels, runs) of an output, runs side by side because they are alike; and its target."""
    options, _, name, ids, target = task
    maps = [np.load(options.work / f"{run}.npz")["holdout" if name == "all" else name].reshape(-1) for run in ids]
    return _xz(np.stack(maps, axis=-1)), _xz(target)


def _xz(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return lzma.compress(file.getvalue(), preset=4)


if __name__ == "__main__":
    main()
