"""Hundreds of candidates through a shortlist: time and memory as pools and holdouts grow, and what the shortlist loses.

Class maps are in a file, mapped. A few simulated images follow one another again and again: they are slow to make, and
a selection takes the same time for each; its report (the score of every top k, cross-fit, bootstrap, diversity) is told
beside it. A vote is a candidate at a pixel; cores' seconds are told as well, since other work on the machine lengthens
the others. Peak memory is all that a process of its own has, less the mapped files; the bound is the one of `segvote
ensemble --memory`. The loss is against the selection among all candidates, in points.
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling import select_ensemble
from ensembling.assessment.assess import assess
from ensembling.assessment.diversity import measure_diversity
from ensembling.selection.options import Options
from ensembling.selection.shortlist import select_from_many
from search.commands.ensemble.memory_bound import GIB, MemoryBound
from tests.benchmarks.vote.pools import make_pool

CLASSES, SIZE, IMAGES, MEMBERS = 11, (512, 512), 4, 15
SMALL_SIZE = (128, 128)
EVERY_S = 0.01


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--candidates", type=int, nargs="+", default=[50, 100, 200, 350, 500], help="(%(default)s)")
    parser.add_argument("--images", type=int, nargs="+", default=[4, 8, 16, 32], help="of 512 x 512 (%(default)s)")
    parser.add_argument("--shortlist", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--memory", type=float, default=1.0, help="GiB (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--pools", type=int, default=12, help="to measure the loss on (%(default)s)")
    parser.add_argument("--loss-candidates", type=int, default=300, help="in each of these (%(default)s)")
    parser.add_argument("--loss-images", type=int, default=20, help="of 128 x 128 in each (%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    with tempfile.TemporaryDirectory() as directory:
        _write_pool(Path(directory), max(options.candidates), max(options.images))
        most = max(options.candidates), max(options.images)
        problems = [(candidates, most[1]) for candidates in options.candidates]
        problems += [(most[0], images) for images in options.images]
        table = Table(
            "candidates", "M pixels", "s", "CPU s", "ns a vote", "report, CPU s", "ns a vote", "peak, GiB", "maps"
        )
        for candidates, images in dict.fromkeys(problems):
            # A process of its own, whose memory is then the selection's.
            with multiprocessing.get_context("spawn").Pool(1) as process:
                seconds, chosen, reported, peak = process.apply(measure, (directory, candidates, images, options))
            votes = candidates * images * SIZE[0] * SIZE[1]
            cells = [f"{seconds:.1f}"]
            for cpu_seconds in (chosen, reported):
                cells += [f"{cpu_seconds:.1f}", f"{cpu_seconds / votes * 1e9:.2f}"]
            sizes = (f"{peak / GIB:.2f}", f"{votes / GIB:.2f}")
            table.add_row(str(candidates), f"{votes / candidates / 1e6:.2f}", *cells, *sizes)
    console.print(
        f"shortlist of {options.shortlist}, greedy to {MEMBERS} and its cross-fit, {options.threads} threads; "
        f"bound: {options.memory:g} GiB",
        highlight=False,
    )
    console.print(table)
    _show_losses(options, console)


def _write_pool(directory: Path, candidates: int, images: int) -> None:
    pool = make_pool(0, candidates, IMAGES, SIZE, CLASSES)
    pixels = images * SIZE[0] * SIZE[1]
    rows = np.lib.format.open_memmap(directory / "rows.npy", "w+", np.uint8, (candidates, pixels))
    for row, repeated in zip(rows, pool.predictions):
        row[:] = np.resize(repeated, pixels)
    rows.flush()
    np.save(directory / "target.npy", np.resize(pool.target, pixels))


def measure(
    directory: str, candidates: int, images: int, options: argparse.Namespace
) -> tuple[float, float, float, int]:
    """Seconds of a selection and its report, their seconds of all cores together, and peak bytes of both."""
    pixels = images * SIZE[0] * SIZE[1]
    rows = list(np.load(Path(directory) / "rows.npy", mmap_mode="r")[:candidates, :pixels])
    target = np.load(Path(directory) / "target.npy")[:pixels]
    ids = np.repeat(np.arange(images, dtype=np.uint16), SIZE[0] * SIZE[1])
    first = [row[: SIZE[1]] for row in rows]
    means = {"shortlist": min(options.shortlist, candidates), "threads": options.threads}
    select_from_many(first, target[: SIZE[1]], CLASSES, Options(), sizes=[(1, SIZE[1])], **means)  # compiles
    peak = _Peak()
    began, cpu_began = time.perf_counter(), time.process_time()
    selection = select_from_many(
        rows,
        target,
        CLASSES,
        Options(max_members=MEMBERS),
        sizes=[SIZE] * images,
        image_ids=ids,
        memory_bytes=MemoryBound(options.memory, pixels).selection,
        **means,
    )
    chosen = time.process_time() - cpu_began
    assess(selection, rows, target, CLASSES, ids, threads=options.threads)
    measure_diversity([rows[member] for member in selection.members], target, CLASSES)
    reported = time.process_time() - cpu_began - chosen
    return time.perf_counter() - began, chosen, reported, peak.end()


class _Peak:
    """Watches the process's memory from now on, without pages of mapped files, which the system may take back."""

    def __init__(self) -> None:
        self._ended, self._highest = threading.Event(), 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            status = Path("/proc/self/status").read_text(encoding="utf-8")
            held = next(line for line in status.splitlines() if line.startswith("RssAnon"))
            self._highest = max(self._highest, 1024 * int(held.split()[1]))

    def end(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._highest


def _show_losses(options: argparse.Namespace, console: Console) -> None:
    losses, fitted = [], []
    for seed in range(1, 1 + options.pools):
        pool = make_pool(seed, options.loss_candidates, options.loss_images, SMALL_SIZE, CLASSES)
        problem = (list(pool.predictions), pool.target, CLASSES)
        means = {"image_ids": pool.image_ids, "threads": options.threads}
        whole = select_ensemble(*problem, max_members=MEMBERS, **means)
        listed = {"sizes": [SMALL_SIZE] * options.loss_images, "shortlist": options.shortlist}
        some = select_from_many(*problem, Options(max_members=MEMBERS), **listed, **means)
        losses.append(100 * (whole.miou - some.miou))
        fitted.append(100 * (whole.crossfit_miou - some.crossfit_miou))
    console.print(
        f"shortlist of {options.shortlist} among {options.loss_candidates}, {options.pools} pools of "
        f"{options.loss_images} images of {SMALL_SIZE[0]} x {SMALL_SIZE[1]}: loses {np.mean(losses):.3f} points of the "
        f"selected mIoU on average, {np.max(losses):.3f} at most; {np.mean(fitted):+.3f} of the cross-fitted one",
        highlight=False,
    )
