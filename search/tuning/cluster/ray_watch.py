"""RayWatch notices that Ray itself has died: Ray's own driver would wait for a minute and end without a message."""

import os
import signal
import socket
import threading

import ray

from search.tuning.stop_signals import leave

EVERY_S = 1.0
TRIES = 3  # that must fail in a row before a process counts as dead
CONNECT_S = 5.0
LEAVE_S = 20.0  # that the search has to come to its end without Ray


class RayWatch:
    """A context in which the processes that Ray runs on are looked at; `lost` says which one died, None if none did.

    They are known by their ports: Ray's head process (GCS), and the raylet of the machine that this process is on. When
    one is gone, the main thread is interrupted as by Ctrl-C. If it has not come out of the context LEAVE_S later, the
    process ends.
    """

    def __init__(self, how_to_resume: str) -> None:
        self.lost: str | None = None
        self.stopping = threading.Event()
        """To be set when somebody stops the search: a signal to all its processes ends Ray's as well."""
        self._how_to_resume = how_to_resume
        self._over = threading.Event()

    def __enter__(self) -> "RayWatch":
        threading.Thread(target=self._watch, args=(_addresses(),), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self, addresses: dict[str, tuple[str, int]]) -> None:
        failed = dict.fromkeys(addresses, 0)
        while not self._over.wait(EVERY_S):
            for name, address in addresses.items():
                failed[name] = 0 if _answers(address) else failed[name] + 1
                if failed[name] == TRIES and not self._over.is_set() and not self.stopping.is_set():
                    self.lost = name
                    os.kill(os.getpid(), signal.SIGINT)
                    self._end_if_it_hangs()
                    return

    def _end_if_it_hangs(self) -> None:
        if not self._over.wait(LEAVE_S):
            leave(f"{describe_lost(self.lost)}\n{self._how_to_resume}", 1)


def describe_lost(process: str) -> str:
    """Return what is said of a process of Ray's that died."""
    return (
        f"Ray's {process} died, and with it every trial that was running: this machine may have run out of memory, or "
        "somebody ended it."
    )


def _addresses() -> dict[str, tuple[str, int]]:
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    own = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    return {
        "head process (GCS)": (host.strip("[]"), int(port)),
        "raylet": (own["NodeManagerAddress"], int(own["NodeManagerPort"])),
    }


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=CONNECT_S):
            return True
    except OSError:
        return False
