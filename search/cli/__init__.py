"""The command line: `commands.py` gathers the commands, `errors.py` runs one, and each other file defines one command.

search/run.py takes its options from here and is one of the commands, so this file imports nothing of the package until
it is called.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the `segvote` command with these arguments, those of the process by default; return its exit code.

    It is for a process that goes on afterwards, such as a notebook's: its handlers of signals are as they were.
    """
    from search.cli.commands import commands
    from search.cli.errors import run_command
    from search.signals import handlers_kept

    with handlers_kept():
        return run_command(commands, arguments)


def console_script() -> None:
    """Run the program `segvote`, and exit with its exit code."""
    from search.cli.commands import commands
    from search.cli.errors import end_process, run_command

    end_process(run_command(commands))


__all__ = ["console_script", "main"]
