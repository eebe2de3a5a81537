"""How many annotations whose labels were changed on purpose are among the first suspects of `segvote data suspects`.

A share of the training annotations gets another class at random. A search trains one network for each fold left out on
these labels, and its trials rank the annotations. Minutes of training; --work keeps it all, and is gone on with.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from search.commands.data.suspects import cast_votes, studied_data, voting_trials
from search.study.study import known_study
from tests.benchmarks.places import ROOT
from trainables.data.exploration.suspects import Suspect
from trainables.data.sample.dataset import write_sample

STUDY = "folds"


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="sample", help="COCO data set, or sample (%(default)s)")
    parser.add_argument("--share", type=float, default=0.05, help="of the training annotations (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the changed labels (%(default)s)")
    parser.add_argument("--epochs", type=int, default=6, help="of each of the five trials (%(default)s)")
    parser.add_argument("--image-size", default="96", help="of the photos that are trained on (%(default)s)")
    parser.add_argument("--weights-dir", type=Path, help="of the search; by default the network is an installed one")
    parser.add_argument("--work", type=Path, help="directory that keeps the data set and the study (temporary)")


def run(options: argparse.Namespace, console: Console) -> None:
    with tempfile.TemporaryDirectory(prefix="suspects") as temporary:
        work = (options.work or Path(temporary)).absolute()
        changed = _relabelled(options, work / "data")
        if not (work / "runs" / STUDY / "ensemble.json").exists():
            _search(options, work)
        study = known_study(work / "runs", STUDY, work / "cache")
        suspects = cast_votes(study, studied_data(study), voting_trials(study), console).suspects()
    console.print(_table(suspects, changed))


def _relabelled(options: argparse.Namespace, out: Path) -> set[int]:
    """Write the data set with changed labels, unless it is there; return the ids of the annotations that have them."""
    source = Path(options.data)
    if options.data == "sample":
        source = write_sample(out.parent / "sample", seed=0)
    content = json.loads((source / "train.json").read_text())
    rng = np.random.default_rng(options.seed)
    annotations, ids = content["annotations"], [one["id"] for one in content["categories"]]
    chosen = rng.choice(len(annotations), round(options.share * len(annotations)), replace=False)
    for place in chosen:
        own = annotations[place]["category_id"]
        annotations[place]["category_id"] = int(rng.choice([one for one in ids if one != own]))
    if not out.exists():
        shutil.copytree(source, out, copy_function=os.link if options.data == "sample" else shutil.copy)
        (out / "train.json").unlink()
        (out / "train.json").write_text(json.dumps(content))
    return {annotations[place]["id"] for place in chosen}


def _search(options: argparse.Namespace, work: Path) -> None:
    flags = ["--space", "quickstart", "--data", work / "data", "--name", STUDY, "--grid", "fold=0,1,2,3,4"]
    flags += ["--fix", f"epochs={options.epochs}", "--image-size", options.image_size, "--trials", 5]
    flags += ["--runs-dir", work / "runs", "--cache-dir", work / "cache"]
    flags += ["--weights-dir", options.weights_dir] if options.weights_dir else []
    resumed = ["--resume"] if (work / "runs" / STUDY).exists() else []
    command = [sys.executable, "search/run.py", *map(str, flags), *resumed]
    subprocess.run(command, cwd=ROOT, check=True)


def _table(suspects: list[Suspect], changed: set[int]) -> Table:
    """`first` of the ranking; `found` of the changed annotations among them, `by chance` that many."""
    table = Table(title=f"{len(changed)} changed labels among {len(suspects)} annotations", title_justify="left")
    for name in ("first", "annotations", "changed", "of all changed", "by chance"):
        table.add_column(name, justify="right")
    for share in (0.01, 0.02, 0.05, 0.1, 0.2):
        count = round(share * len(suspects))
        found = sum(one.annotation_id in changed for one in suspects[:count])
        chance = f"{share * len(changed):.1f}"
        table.add_row(f"{share:.0%}", str(count), str(found), f"{found / len(changed):.0%}", chance)
    return table
