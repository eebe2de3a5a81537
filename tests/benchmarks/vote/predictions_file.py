"""Reading the predictions file, against PNG and against one read of the raw bytes, which is 1 F.

F is the time in which NumPy reads all class maps once, as raw bytes in memory, measured in the same run. Files come
from the page cache, so that this is the cost of checking and decoding them.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from ensembling import Predictions, read_predictions, write_predictions
from tests.benchmarks.vote.pools import Pool, make_pool


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--candidates", type=int, default=16, help="files (%(default)s)")
    parser.add_argument("--images", type=int, default=30, help="images in each (%(default)s)")
    parser.add_argument("--size", type=int, default=512, help="height and width of an image (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest of which counts (%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    pool = make_pool(0, options.candidates, options.images, (options.size, options.size))
    raw = pool.predictions.size
    with tempfile.TemporaryDirectory() as directory:
        files = _write_files(pool, options, Path(directory))
        pngs = _pngs(pool, options)
        one_f = _fastest(lambda: pool.predictions.max(), options.rounds)
        decode = _fastest(lambda: [read_predictions(path) for path in files], options.rounds)
        decode_png = _fastest(lambda: [np.asarray(Image.open(io.BytesIO(png))) for png in pngs], 1)
        stored = sum(path.stat().st_size for path in files)
    table = Table("", "bytes a pixel", "of raw", "read and checked, ns a pixel", "F")
    rows = {
        "raw bytes, read once": (raw, one_f),
        "predictions file": (stored, decode),
        "PNG, not checked": (sum(map(len, pngs)), decode_png),
    }
    for name, (size, seconds) in rows.items():
        ns = 1e9 * seconds / raw
        table.add_row(name, f"{size / raw:.4f}", f"1/{raw / size:.0f}", f"{ns:.3f}", f"{seconds / one_f:.1f}")
    console.print(f"{options.candidates} candidates, {pool.target.size / 1e6:.1f} M pixels each", highlight=False)
    console.print(table)


def _write_files(pool: Pool, options: argparse.Namespace, directory: Path) -> list[Path]:
    ids = tuple(f"{number}.jpg" for number in range(options.images))
    names = tuple(f"class {number}" for number in range(pool.num_classes))
    files = []
    for number, row in enumerate(pool.predictions):
        files.append(directory / f"{number}.predictions")
        sizes = ((options.size, options.size),) * options.images
        write_predictions(files[-1], Predictions(ids, sizes, names, "benchmark", row))
    return files


def _pngs(pool: Pool, options: argparse.Namespace) -> list[bytes]:
    maps = pool.predictions.reshape(-1, options.size, options.size)
    files = []
    for class_map in maps:
        file = io.BytesIO()
        Image.fromarray(class_map).save(file, format="PNG")
        files.append(file.getvalue())
    return files


def _fastest(action: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round after one that does not count: it compiles, and fills caches."""
    action()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)
