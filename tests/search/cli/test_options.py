"""The command as it was typed, which messages repeat."""

import sys

import click
import pytest

from search.cli.errors import run_command
from search.cli.options import typed_line
from search.signals import handlers_kept


@click.command("search")
@click.option("--name")
@click.pass_context
def show(context, name):
    print(typed_line(context))


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        (click.Group(commands=[show]), ["search", "--name", "a b"], "segvote search --name 'a b'"),
        (show, ["--name", "night"], "python search/run.py --name night"),
    ],
)
@pytest.mark.parametrize("within", [None, ["ipykernel_launcher.py", "-f", "kernel.json"]])
def test_the_line_has_what_the_command_was_given_also_within_another_process(
    monkeypatch, capsys, command, arguments, line, within
):
    monkeypatch.setattr(sys, "argv", within or ["program", *arguments])
    with handlers_kept():
        assert run_command(command, arguments if within else None) == 0
    assert capsys.readouterr().out == f"{line}\n"
