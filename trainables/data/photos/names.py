"""The endings of photos, and file names that look the same: characters may be composed in two ways, as on macOS."""

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm", ".mpo",
)  # fmt: skip


def composed(name: str) -> str:
    """Return a name with composed characters; two names that this makes equal mean the same file."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Return what names have in common that differ in capitals, blanks at the ends, or %20 for a blank as well."""
    return composed(unquote(name)).casefold().strip()


def without_ending(name: str) -> str:
    """Return a photo's name without its ending; the names of other files are returned as they are."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in SUFFIXES else name


def existing(path: Path) -> Path:
    """Return the path, or that of the file whose name differs only in how its characters are composed, if one is there.

    The folder is not read, because there may be many such names in a large one.
    """
    if os.path.exists(path) or path.name.isascii():
        return path
    forms = (path.with_name(unicodedata.normalize(form, path.name)) for form in ("NFC", "NFD"))
    return next(filter(os.path.exists, forms), path)
