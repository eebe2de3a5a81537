"""README.md and docs/: links lead somewhere, and commands and Python in them are what the code takes."""

import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest

from search.cli.commands import commands
from spaces import SPACES
from trainables.config import TrialConfig

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
STARTS = ("segvote ", "python search/run.py ")
PLACEHOLDERS = ("NAME", "STUDY", "FORMAT", "SRC", "FILE", "…")  # of descriptions of a command, which is no command


def code_lines(page):
    """Return the lines of code blocks, indented or fenced, without their comments."""
    lines, fenced = [], False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(re.sub(r"\s+#.*$", "", line.strip()))
    return lines


def typed_commands():
    found = []
    for page in PAGES:
        for line in code_lines(page):
            nested = re.search(r"&& (python search/run\.py [^']*)'", line)  # within ray exec
            command = nested[1] if nested else line
            if command.startswith(STARTS) and not any(word in command.split() for word in PLACEHOLDERS):
                found.append(pytest.param(command, id=f"{page.name}: {command[:60]}"))
    return found


@pytest.mark.parametrize("command", typed_commands())
def test_every_command_is_one_that_the_command_line_takes(command, tmp_path, monkeypatch):
    """It is parsed by the real command line, which knows its options, their types and choices; nothing is run."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    words = ["search", *words[2:]] if words[0] == "python" else words[1:]
    group, context = commands, click.Context(commands, info_name="segvote")
    while isinstance(group, click.Group):
        name, group, words = group.resolve_command(context, words)
        context = group.make_context(name, list(words), parent=context)
        words = [*context._protected_args, *context.args] if isinstance(group, click.Group) else words


def test_there_are_commands_to_try():
    assert len(typed_commands()) > 25


def test_the_space_in_the_readme_is_a_space():
    code = re.search(r"```python\n(def suggest.*?)```", PAGES[0].read_text(), re.DOTALL)[1]
    names = {}
    exec(compile(code, "README.md", "exec"), names)

    class First:
        """Suggest the first of the choices."""

        suggest_categorical = staticmethod(lambda name, choices: choices[0])
        suggest_float = staticmethod(lambda name, low, high, log=False: low)

    assert TrialConfig.from_dict(names["suggest"](First())).head == "unet"


def test_the_vote_in_the_readme_votes():
    code = re.search(r"```python\n(from ensembling.*?)```", PAGES[0].read_text(), re.DOTALL)[1]
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 400).astype(np.uint8)
    wrong = rng.random((5, 400)) < 0.3
    given = {
        "predictions": np.where(wrong, rng.integers(0, 3, (5, 400)), target).astype(np.uint8),
        "target": target,
        "num_classes": 3,
        "image_ids": np.repeat(np.arange(4), 100),
    }
    exec(compile(code, "README.md", "exec"), given)
    assert given["class_map"].shape == (400,)
    assert (given["class_map"] == target).mean() > 0.7


def test_the_readme_names_every_space():
    assert not [name for name in SPACES if f"`{name}`" not in PAGES[0].read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    lost = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    """`search/run.py` and the like, in backticks."""
    named = re.findall(r"`((?:search|spaces|trainables|ensembling|tests|docs)/[\w/]+(?:\.py|/))`", page.read_text())
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_readme_is_one_sitting():
    assert len(PAGES[0].read_text().splitlines()) <= 170
