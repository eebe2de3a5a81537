"""The command line: `commands.py` gathers the commands, `errors.py` runs one, and each other file defines one command.

search/run.py takes its options from here and is one of the commands, so this file imports nothing of the package until
it is called.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the `segvote` command with these arguments, those of the process by default; return its exit code."""
    from search.cli.commands import commands
    from search.cli.errors import run_command

    return run_command(commands, arguments)


def console_script() -> None:
    """Run the program `segvote`: exit with the exit code of `main`."""
    from search.cli.errors import end_process

    end_process(main())


__all__ = ["console_script", "main"]
