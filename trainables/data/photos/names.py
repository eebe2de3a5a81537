"""File names that look the same: characters may be composed in two ways, as on macOS and on Linux."""

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote


def composed(name: str) -> str:
    """Return a name with composed characters; two names that this makes equal mean the same file."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return what names have in common that differ in capitals, blanks at the ends, or %20 for a blank as well."""
    return composed(unquote(name)).casefold().strip()


def existing(path: Path) -> Path:
    """Return the path; where there is no such file, that of one in its folder with the same composed name, if any."""
    if path.exists() or path.name.isascii() or not path.parent.is_dir():
        return path
    same = [name for name in os.listdir(path.parent) if composed(name) == composed(path.name)]
    return path.with_name(same[0]) if same else path
