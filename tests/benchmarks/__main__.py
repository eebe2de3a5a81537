"""`python -m tests.benchmarks [NAME [FLAGS]]`: runs the benchmark NAME, or all of them; `--list` only names them.

Benchmarks print tables and never assert: seconds depend on the machine and on what else it does.
"""

import argparse
import os

from rich.console import Console

from tests.benchmarks import foresee, search_efficiency, suspects
from tests.benchmarks.places import CAMVID, WEIGHTS
from tests.benchmarks.search import growth, idle_share, learn_from
from tests.benchmarks.training import (
    augmentation,
    gpu,
    head_cost,
    loader_against_tensors,
    loader_processes,
    predict_against_forward,
    trial_against_loop,
)
from tests.benchmarks.vote import (
    honesty,
    large_pool,
    new_scenes,
    predictions_file,
    rare_classes,
    selection,
    selection_optimum,
)

BENCHMARKS = {
    "trial_against_loop": trial_against_loop,
    "loader_against_tensors": loader_against_tensors,
    "augmentation": augmentation,
    "loader_processes": loader_processes,
    "predict_against_forward": predict_against_forward,
    "head_cost": head_cost,
    "gpu": gpu,
    "predictions_file": predictions_file,
    "selection": selection,
    "selection_optimum": selection_optimum,
    "honesty": honesty,
    "foresee": foresee,
    "large_pool": large_pool,
    "new_scenes": new_scenes,
    "rare_classes": rare_classes,
    "suspects": suspects,
    "search_efficiency": search_efficiency,
    "idle_share": idle_share,
    "learn_from": learn_from,
    "growth": growth,
}
NEED_DATA = {"trial_against_loop", "loader_against_tensors", "predict_against_forward"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="name the benchmarks and run none")
    named = parser.add_subparsers(dest="name", metavar="NAME")
    for name, module in BENCHMARKS.items():
        module.add_flags(named.add_parser(name, help=_summary(module), description=_summary(module)))
    options = parser.parse_args()
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=160)  # rich takes a file for 80 columns wide, and cuts the figures off
    if options.list:
        for name, module in BENCHMARKS.items():
            console.print(f"{name:<24} {_summary(module)}", soft_wrap=True)
        return
    lacking = [place for place in (CAMVID, WEIGHTS) if not place.is_dir()]
    for name in [options.name] if options.name else BENCHMARKS:
        console.rule(name)
        if lacking and name in NEED_DATA:
            console.print(f"It was not run: there is no {' and no '.join(map(str, lacking))}", soft_wrap=True)
            continue
        BENCHMARKS[name].run(options if options.name else parser.parse_args([name]), console)


def _summary(module: object) -> str:
    return module.__doc__.split("\n")[0]


main()
