"""Ray's death is noticed by its ports, and said."""

import socket
import time

import pytest

from search.tuning.cluster import ray_watch
from search.tuning.cluster.ray_watch import RayWatch, describe_lost


@pytest.fixture
def ports(monkeypatch):
    """Two listening sockets in the place of Ray's processes."""
    servers = {name: socket.create_server(("127.0.0.1", 0)) for name in ("head process (GCS)", "raylet")}
    addresses = {name: server.getsockname() for name, server in servers.items()}
    monkeypatch.setattr(ray_watch, "_addresses", lambda: addresses)
    monkeypatch.setattr(ray_watch, "EVERY_S", 0.05)
    yield servers
    for server in servers.values():
        server.close()


@pytest.mark.parametrize("name", ["head process (GCS)", "raylet"])
def test_the_main_thread_is_interrupted_where_a_process_dies(ports, name):
    ports[name].close()
    watch = RayWatch("go on by --resume")
    with pytest.raises(KeyboardInterrupt), watch:
        time.sleep(60)
    assert watch.lost == name
    assert describe_lost(watch.lost).startswith(f"Ray's {name} died, and with it every trial that was running")


def test_nothing_is_said_where_they_live(ports):
    with RayWatch("go on by --resume") as watch:
        time.sleep(0.5)
    ports["raylet"].close()
    time.sleep(0.5)  # after its end it looks no more
    assert watch.lost is None


def test_a_search_that_somebody_stops_is_not_interrupted_again(ports):
    with RayWatch("go on by --resume") as watch:
        watch.stopping.set()
        ports["raylet"].close()  # as by a signal to all processes
        time.sleep(0.5)
    assert watch.lost is None
