"""The process that a trial's loader processes are copies of: it has imported what they need."""

import multiprocessing
import multiprocessing.forkserver

START_AHEAD = "SEGVOTE_START_LOADER_SERVER"  # the variable of the environment that asks for it before a trial begins
IMPORTED = ["__main__", "trainables.data.batches.training_batches", "trainables.data.batches.policies"]


def loader_context() -> multiprocessing.context.BaseContext:
    """Return the way to start loader processes, as copies of one that has imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def start_loader_server() -> None:
    """Let that process start and import now, so that the first loader need not wait for its imports."""
    loader_context()
    multiprocessing.forkserver.ensure_running()
