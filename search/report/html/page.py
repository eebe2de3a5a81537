"""The whole page: its sections in order, with style, script and chart library inside."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from search.report.html import course, ensemble, factors, pairs, pictures, top, trials
from search.report.record.gather import Report

TEMPLATES = Path(__file__).parent / "templates"
# The package plotly.js-basic-dist-min of npm, 4.1.1, as it is there: another release replaces the file.
LIBRARY = Path(__file__).parent / "library" / "plotly-basic.min.js"
SECTIONS = (top, course, factors, pairs, ensemble, pictures, trials)


def render(report: Report) -> str:
    """Return the report as HTML that needs no other file and no network."""
    found = [module.section(report) for module in SECTIONS]
    sections = [section for section in found if section]
    templates = _templates()
    parts = [
        {
            "title": section.title,
            "anchor": section.title.lower().replace(" ", "-"),
            "html": templates.get_template(section.template).render(**section.context),
        }
        for section in sections
    ]
    figures = {name: figure for section in sections for name, figure in section.figures.items()}
    return templates.get_template("page.html").render(
        study=report.study,
        registered=report.registered,
        parts=parts,
        figures=_json(figures),
        trials=_json(trials.details(report)),
        style=(TEMPLATES / "style.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "script.js").read_text(encoding="utf-8"),
        library=LIBRARY.read_text(encoding="utf-8"),
    )


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"points": lambda value: f"{100 * value:+.2f}", "score": _score, "percent": _percent}
    return environment


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _json(value: Any) -> str:
    """Return JSON that may stand in a script element: nothing in it ends the element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
