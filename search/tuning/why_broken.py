"""Why a trial's process came to its end before the trial did, read from what Ray Tune wrote down of it."""

from pathlib import Path
from typing import Any

DIED = "its process died: it was killed, as happens where memory runs out, or it crashed"
# What Ray says of a process that is gone is a paragraph on all that it knows of; by a part of it, what to show instead.
RAYS_WORDS = {
    "running low on memory": "Ray ended its process, because its machine ran low on memory",
    "node has died": "the machine that it ran on was lost",
    "worker process has died": DIED,
    "actor died unexpectedly": DIED,
}
ATTEMPT = "Failure # "  # begins the line above each error that Ray Tune appends to the file


def why_broken(trial: Any) -> str:
    """Return why Ray Tune's `trial` broke the last time: the error that was raised, or what became of its process."""
    if not trial.error_file or not Path(trial.error_file).exists():
        return DIED
    _, attempt, last = Path(trial.error_file).read_text(encoding="utf-8", errors="replace").rpartition(ATTEMPT)
    for part, words in RAYS_WORDS.items():
        if part in last:
            return words
    lines = [line.strip() for line in last.splitlines()[1 if attempt else 0 :] if line.strip()]
    return lines[-1] if lines else DIED
