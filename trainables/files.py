"""Files and directories that are there whole or not at all, and JSON that is checked before it is believed.

Everything that a study keeps is written through `replacing`, and a study's JSON is read through `read_checked`.
"""

import json
import os
import re
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from trainables.errors import DamagedFileError, UserError

LFS_POINTER = b"version https://git-lfs"  # the first bytes of what a clone without Git LFS has instead of a file
ARCHIVES = {b"PK\x03\x04": "ZIP", b"\x1f\x8b": "gzip", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR"}  # by their first bytes
NAME_KEPT = 60  # characters of a file's name that its temporary name repeats; a name has 255 bytes at most


def check_fetched(path: Path) -> None:
    """Raise UserError for a file that is empty, or of which a clone without Git LFS has the pointer only.

    A file that cannot be opened raises nothing here, because its reader says why.
    """
    start = _beginning(path, len(LFS_POINTER))
    if start == LFS_POINTER:
        raise UserError(f"{path} is a pointer of Git LFS instead of the file; fetch it by git lfs pull")
    if start == b"":
        raise UserError(f"{path} is empty (0 bytes); copy or download it again")


def check_unpacked(path: Path) -> None:
    """Raise UserError for a file that is an archive, whatever its name says.

    A file that cannot be opened raises nothing here, because its reader says why.
    """
    start = _beginning(path, 4) or b""
    kind = next((kind for sign, kind in ARCHIVES.items() if start.startswith(sign)), None)
    if kind:
        raise UserError(f"{path} is a {kind} archive; unpack it, and give what is in it")


def _beginning(path: Path, size: int) -> bytes | None:
    """Return the first bytes of a file; None where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError:
        return None


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` if the block succeeds, remove it if not.

    The file has the permissions that the umask gives, whatever the block's library would choose. With `sync` the bytes
    are on the disk before the name is: a power cut leaves the old file or the new one, never an empty one. Leave it out
    only for what is made again by the same command, such as thousands of pictures. Temporary files that killed
    processes of this machine left in the directory are removed at a process's first write there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent, os.getpid())
    owner = f"{_host()}-{os.getpid()}"
    temporary = path.with_name(f".{path.name[:NAME_KEPT]}.{owner}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        if temporary.stat().st_mode != mode:
            temporary.chmod(mode)
        if sync:
            _flush(temporary)
        os.replace(temporary, path)
        if sync:
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _host() -> str:
    return re.sub(r"[^\w]", "_", socket.gethostname())[:40]


@cache
def _sweep(directory: Path, own_pid: int) -> None:
    """Remove what killed writers left; `own_pid` is there since a forked process has to look for itself."""
    left = re.compile(rf"\..*\.{re.escape(_host())}-(\d+)\.[0-9a-f]{{8}}\.tmp")
    with suppress(OSError):
        for name in os.listdir(directory):
            found = left.fullmatch(name)
            if found and int(found[1]) != own_pid and not _is_alive(int(found[1])):
                (directory / name).unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Return what the file holds. Raises OSError where `path` cannot be read, ValueError where it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_checked(path: Path, shape: Any, *, remedy: str) -> Any:
    """Return the JSON of a file that only SegVote writes, known to have `shape`.

    `shape` is a type as pydantic understands it, mostly a TypedDict; keys beyond those that it names are kept. Raises
    DamagedFileError with the file, what is wrong with it and `remedy` where it cannot be read, is cut off or is no
    JSON, or where a key is missing or has a value of another type.
    """
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): {remedy}") from error
    check_shape(value, shape, path, remedy=remedy)
    return value


def check_shape(value: Any, shape: Any, path: Path, *, remedy: str) -> None:
    """Raise DamagedFileError where a value that was read does not have the shape that it must have.

    Args:
        value: The value.
        shape: Its type, as for `read_checked`.
        path: The file that it was read from.
        remedy: What to do, for the message.
    """
    from pydantic import TypeAdapter, ValidationError  # a tenth of a second of imports

    try:
        TypeAdapter(shape).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its content"
        raise DamagedFileError(f"{path} is damaged ({where}: {first['msg']}): {remedy}") from error


def files_below(directory: Path, *, above: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """Yield all files below a directory but hidden ones and those in hidden folders, in no order.

    Links to folders are followed unless they lead back up. What tools hide is nobody's data: macOS's ._x.jpg, Jupyter's
    .ipynb_checkpoints.

    Args:
        directory: The directory.
        above: The device and inode of each directory above it that was entered on the way.

    Raises:
        UserError: A directory cannot be read.
    """
    try:
        found = directory.stat()
        key = (found.st_dev, found.st_ino)
        names = [] if key in above else os.listdir(directory)
    except OSError as error:
        raise UserError(f"{directory} cannot be read ({error.strerror}): check its permissions") from error
    for name in names:
        path = directory / name
        if name.startswith("."):
            continue
        if path.is_dir():
            yield from files_below(path, above=(*above, key))
        else:
            yield path


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
