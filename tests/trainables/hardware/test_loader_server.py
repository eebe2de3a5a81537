"""The process that loader processes are copies of is started ahead of the first loader."""

import json
import os
import subprocess
import sys

SCRIPT = """
import json, multiprocessing.forkserver, os, threading

def main():
    import search.tuning.cluster.imports_ahead
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join()
    server = multiprocessing.forkserver._forkserver
    ahead = server._forkserver_pid
    if ahead is None:
        print(json.dumps({"ahead": None}))
        os._exit(0)
    from trainables.data.batches.loader import open_loader
    loader = open_loader("parents", Parents, workers=1, pin_memory=False)
    parents = [int(batch) for batch in loader.load([[0]])]
    print(json.dumps({"ahead": ahead, "parents": parents, "now": server._forkserver_pid}))
    os._exit(0)

class Parents:
    def __getitem__(self, key):
        return os.getppid()

if __name__ == "__main__":
    main()
"""


def _run(tmp_path, asked):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "SEGVOTE_START_LOADER_SERVER": asked, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    return json.loads(run.stdout.splitlines()[-1])


def test_loader_processes_are_copies_of_the_server_that_was_started_ahead(tmp_path):
    seen = _run(tmp_path, "1")
    assert seen["ahead"] is not None
    assert seen["now"] == seen["ahead"]
    assert seen["parents"] == [seen["ahead"]]


def test_where_no_trial_has_a_gpu_none_is_started_ahead(tmp_path):
    assert _run(tmp_path, "") == {"ahead": None}
