"""Names with brackets are shown as they are, on every console."""

import ast
import io
from pathlib import Path

import pytest
from rich.console import Console

from search.report.bars import Bars
from search.report.console import PlainTable, labelled, say, working
from trainables.errors import printable

SEARCH = Path(__file__).resolve().parents[3] / "search"
NAMES = ("cat [male]", "switch [/off]", "[bold]", "a\\[b]", "C:\\[x", "[link=file:///etc]here[/link]")


@pytest.fixture(params=[True, False], ids=["markup", "no markup"])
def console(request):
    return Console(file=io.StringIO(), width=100, markup=request.param)


def shown(console):
    return console.file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(console, name):
    say(console, f"pixels {name}")
    labelled(console, "data", name)
    table = PlainTable(f"of {name}", name, f">{name}")
    table.add_row(name, "1")
    console.print(table)
    with working(console, f"Reading {name} …"), Bars(console) as bars:
        bars.add(name, 1)(1)
    assert shown(console).count(name) == 7


def test_what_cannot_be_shown_is_escaped():
    assert printable("a\nb [x] \U0001f37e 종이") == "a\nb [x] \U0001f37e 종이"
    assert printable("\x1b[31m.jpg\r\x07") == "\\x1b[31m.jpg\\r\\x07"
    assert printable("half \ud83d") == "half \\ud83d"


def test_control_characters_do_not_reach_the_screen(console):
    say(console, "photo \x1b[2J.jpg")
    table = PlainTable("", "photo")
    table.add_row("half \ud83d \x1b[2J")
    console.print(table)
    assert shown(console).count("\\x1b[2J") == 2
    assert "\x1b" not in shown(console)
    assert "half \\ud83d" in shown(console)


def test_a_command_is_not_broken_into_lines(console):
    say(console, "segvote search " + "--fix lr=0.1 " * 30)
    assert len(shown(console).splitlines()) == 1


OWN_CONSOLES = SEARCH / "commands" / "data"  # commands with consoles of their own


def printed_strings(path):
    """Lines in which a str, rather than a table or rich Text, is handed to a console."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            owner = ast.unparse(node.func.value)
            is_text = isinstance(node.args[0], ast.JoinedStr | ast.Constant | ast.BinOp)
            if owner.endswith("console") and node.func.attr in ("print", "status") and is_text:
                yield node.lineno


def test_every_text_is_printed_in_the_one_way():
    files = [path for path in SEARCH.rglob("*.py") if OWN_CONSOLES not in path.parents]
    assert {str(path): lines for path in files if (lines := list(printed_strings(path)))} == {}


def test_a_terminal_that_is_too_narrow_for_a_table_loses_no_column():
    table = PlainTable("Trials", ">rank", "model", "why it ended", ">trial")
    table.add_row("1", "segformer tf_efficientnet_lite0 ce_dice_3_1", "stopped at epoch 4", "12")
    table.add_row("2", "fpn", "", "3")

    def shown(width):
        console = Console(file=io.StringIO(), width=width)
        console.print(table)
        return console.file.getvalue()

    assert "│" in shown(80)
    narrow = " ".join(shown(40).split())
    assert "│" not in narrow
    assert "rank: 1; model: segformer tf_efficientnet_lite0 ce_dice_3_1; why it ended: stopped at epoch 4" in narrow
    assert "rank: 2; model: fpn; trial: 3" in narrow
