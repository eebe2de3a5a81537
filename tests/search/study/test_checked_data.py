"""What a search says of its data set."""

from types import SimpleNamespace

from rich.console import Console

from search.study.checked_data import show_problems
from trainables.data.annotations.checks import Problem


def test_what_concerns_a_whole_file_is_said_first():
    problems = [Problem("train.json", number, "covers no pixel", "left out") for number in range(50)]
    problems.append(Problem("train.json", None, "all of its polygons are doubtful", "look"))
    console = Console(record=True, width=100)
    show_problems(SimpleNamespace(problems=tuple(problems)), console)
    lines = console.export_text().splitlines()
    assert lines[1].strip() == "train.json: all of its polygons are doubtful; look"
    assert lines[-1].strip() == "… and 41 more"
