"""`segvote vote` on the command line."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console


@click.command("vote")
@click.argument("files", nargs=-1, required=True, metavar="A.csv B.csv …")
@click.option("--out", required=True, metavar="CSV", help="Where the vote goes.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option("--scores", metavar="A,B,…", help="Of the files, for ranks. [default: the best is named first]")
@click.option("--diff", metavar="DIR", help="Show what the vote changed against the best file: overlays and counts.")
@click.option("--images", metavar="DIR", help="Photos, for --diff: below it, as image_id says.")
@click.option("--classes", metavar="JSON", help="ensemble.json or COCO file that names the classes, for --diff.")
def vote_command(files: tuple[str, ...], out: str, **flags: Any) -> int:
    """Take the hard vote over submission files, wherever they come from."""
    from search.vote_command import VoteOptions, run_vote

    paths = {"files": tuple(map(Path, files)), "out": Path(out)}
    for name in ("diff", "images", "classes"):
        value = flags.pop(name)
        paths[name] = Path(value).expanduser() if value else None
    return run_vote(VoteOptions(**paths, **flags), Console())
