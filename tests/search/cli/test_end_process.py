"""How the process of a command ends: at once, but with what it printed and what was registered for its end."""

import subprocess
import sys

import pytest

from search.cli.errors import INTERRUPTED

SCRIPT = """
import atexit, sys
from search.cli.errors import end_process

class Slow:
    def __del__(self):
        print("taken apart", flush=True)

atexit.register(lambda: print("registered"))
slow = Slow()
slow.itself = slow
print("said", end=" ")
print("told", file=sys.stderr)
end_process(int(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def printed_in_blocks(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.mark.parametrize(
    ("code", "printed"), [(0, "said registered\n"), (2, "said registered\n"), (INTERRUPTED, "said ")]
)
def test_what_was_printed_and_registered_is_there_and_objects_are_not_taken_apart(code, printed):
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(code)], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (code, printed, "told\n")


def test_a_reader_that_is_gone_makes_no_traceback():
    script = "from search.cli.errors import end_process; input(); print('said'); end_process(0)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], text=True, **pipes) as process:
        process.stdout.close()
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_process_without_outputs_ends_with_its_exit_code():
    script = "import sys; sys.stdout = sys.stderr = None; from search.cli.errors import end_process; end_process(0)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
