"""Directories that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import UserError


@contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """Yield a directory that is renamed to `out` if the block succeeds, and removed if not.

    Raises UserError where `out` exists already.
    """
    if out.exists():
        raise UserError(f"{out} exists already: give another directory, or remove it first")
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield building
        building.chmod(0o755)
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
