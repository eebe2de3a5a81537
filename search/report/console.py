"""Lines and tables that show every text as it is.

rich reads brackets in a str as markup: a class named "cat [male]" would lose its second word, and "switch [/off]" would
raise MarkupError. Whatever holds a name or a path is therefore printed through this file, which hands rich its Text
objects.
"""

from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.status import Status
from rich.table import Column, Table
from rich.text import Text

from trainables.errors import printable

PADDING = 3  # characters beside the text of a column
WORD = 12  # characters at which a longer word may be folded


def say(console: Console, text: str, *, label: str = "", style: str = "") -> None:
    """Print one paragraph without line breaks, so that its commands can be copied.

    Args:
        console: Where to print.
        text: The paragraph.
        label: What stands before it in bold.
        style: The style of the text, in rich's words.
    """
    line = Text(f"{label:<10} ", style="bold") if label else Text()
    console.print(line.append(printable(text), style=style), soft_wrap=True)


def labelled(console: Console, label: str, text: str) -> None:
    """Print one paragraph with a word before it that says what it is about."""
    say(console, text, label=label)


def working(console: Console, text: str) -> Status:
    """Return a context manager that shows the text beside a spinner."""
    return console.status(Text(text))


def _least_width(column: Column) -> int:
    """Return the characters that a column needs to be read: all of a number, and the longest word of a text, or 12."""
    if column.width:
        return column.width
    texts = [str(column.header), *map(str, column.cells)]
    if column.no_wrap:
        return max(map(cell_len, texts))
    return min(WORD, max((cell_len(word) for text in texts for word in text.split()), default=0))


class PlainTable(Table):
    """A table whose title, headings and cells are shown as they are.

    A heading that begins with > is that of a column of numbers. Where the terminal is too narrow for all columns, each
    row is a paragraph, since a table would leave columns out.
    """

    def __init__(self, title: str, *headings: str, **how: Any) -> None:
        super().__init__(title=Text(title, style="italic"), title_justify="left", **how)
        for heading in headings:
            number = heading[0] == ">"  # numbers are never folded: text makes room
            justify = "right" if number else "left"
            self.add_column(Text(heading.lstrip(">")), justify=justify, overflow="fold", no_wrap=number)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if sum(map(_least_width, self.columns)) + PADDING * len(self.columns) + 1 <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        yield self.title
        headings = [str(column.header) for column in self.columns]
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            named = (f"{heading}: {cell}" for heading, cell in zip(headings, cells, strict=True) if str(cell))
            yield Text("  " + "; ".join(named))

    def add_row(self, *cells: Any, **how: Any) -> None:
        super().add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in cells), **how)
