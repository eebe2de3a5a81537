"""The data report as one HTML file that needs nothing else: no network, no scripts, light and dark."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from PIL import Image

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --card: #f6f8fa; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0;
  --note: #fff8e6; --edge: #d9822b; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --card: #1c2128; --ink: #e6e9ed; --soft: #9aa4af;
  --line: #3a424c; --note: #2b2417; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 16px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 4px; } h2 { font-size: 1.1rem; margin: 0 0 8px; }
.soft { color: var(--soft); margin: 0 0 16px; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 4px 14px; margin-bottom: 16px; } a { color: inherit; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr)); gap: 16px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px; min-width: 0; }
section.wide { grid-column: 1 / -1; }
section svg, section img { display: block; width: 100%; height: auto; max-width: 980px; }
.advice { background: var(--note); border-left: 4px solid var(--edge); padding: 8px 10px; margin: 10px 0 0;
  overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } .scroll + .scroll { margin-top: 14px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
td, th { padding: 3px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; }
ul { margin: 8px 0 0; padding-left: 18px; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Section:
    """One card of the page: a heading, a sentence on how to read it, what it shows, and advice."""

    key: str
    title: str
    words: str
    body: str
    advice: Sequence[str] = field(default=())
    wide: bool = False
    linked: bool = True  # from the head of the page


def make_page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    links = "".join(f'<a href="#{one.key}">{escape(one.title)}</a>' for one in sections if one.linked)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="soft">{escape(subtitle)}</p><nav>{links}</nav>'
        f"<main>{''.join(map(_card, sections))}</main></body></html>\n"
    )


def _card(section: Section) -> str:
    advice = "".join(f'<p class="advice">{_with_code(text)}</p>' for text in section.advice)
    wide = ' class="wide"' if section.wide else ""
    return (
        f'<section id="{section.key}"{wide}><h2>{escape(section.title)}</h2><p class="soft">{escape(section.words)}</p>'
        f"{section.body}{advice}</section>"
    )


def _with_code(text: str) -> str:
    """Return the text as HTML, with what is between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table that scrolls sideways where the screen is narrower."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bullets(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def picture(image: Image.Image, words: str) -> str:
    """Return the image as JPEG within the page."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<img alt="{escape(words)}" loading="lazy" src="data:image/jpeg;base64,{data}">'
