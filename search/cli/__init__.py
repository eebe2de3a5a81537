"""The command line: `commands.py` has the group of all commands, and each other file has one command's options."""

from search.cli.commands import console_script, main

__all__ = ["console_script", "main"]
