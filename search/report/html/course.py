"""How the search went: the best score over time, over days across studies, and every trial's learning curve."""

from typing import Any

from search.report.html.charts import Section, figure, lines, points
from search.report.record.gather import Report
from search.report.record.leaderboard import StudyScores, dates
from search.report.record.study_record import StudyRecord


def section(report: Report) -> Section | None:
    """Return the charts of the search; None before the first score."""
    study = report.study
    if not study.scored:
        return None
    figures = {"curves": _curves(study)}
    if report.boards[0].rises:
        figures["best-so-far"] = _best_so_far(report)
    if len(report.boards) > 1 or report.submissions:
        figures["days"] = _days(report)
    context = {"rungs": study.rungs, "epochs": study.epochs, "boards": len(report.boards), "figures": figures.keys()}
    return Section("The search", "course.html", context, figures)


def _best_so_far(report: Report) -> dict[str, Any]:
    study = report.study
    timed = [(trial, [one for one in trial.records if "time" in one]) for trial in study.scored]  # older epochs lack it
    started = min(record["time"] - record.get("epoch_s", 0) for _, records in timed for record in records)
    ended = [(max(record["time"] for record in records), trial) for trial, records in timed if records]
    rise = [*report.boards[0].rises]
    rise.append((max(moment for moment, _ in ended), rise[-1][1], rise[-1][2]))
    unit, seconds = _unit(rise[-1][0] - started)
    hours = lambda moment: round((moment - started) / seconds, 3)  # noqa: E731
    trials = [trial for _, trial in ended]
    dots = points(
        trials,
        (hours(moment) for moment, _ in ended),
        (trial.best for trial in trials),
        name="a trial's end, at its best score",
        marker={"size": 7, "color": "$muted", "opacity": 0.7},
    )
    best = {
        "type": "scatter",
        "mode": "lines",
        "line": {"shape": "hv", "color": "$blue", "width": 3},
        "name": "best single run",
        "x": [hours(moment) for moment, *_ in rise],
        "y": [round(score, 5) for _, score, _ in rise],
        "customdata": [number for *_, number in rise],
    }
    curve = [(hours(moment), value) for moment, value in report.registered.curves.get("vote_miou", [])]
    vote = {
        "type": "scatter",
        "mode": "lines",
        "line": {"shape": "hv", "color": "$orange", "width": 3},
        "name": "vote of the trials so far",
        "x": [moment for moment, _ in curve],
        "y": [round(value, 5) for _, value in curve],
        "hovertemplate": "vote so far %{y:.4f}<extra></extra>",
    }
    return figure([dots, best, *([vote] if curve else [])], x=f"{unit} since the first epoch began", y="holdout mIoU")


def _unit(seconds: float) -> tuple[str, float]:
    if seconds < 2 * 3600:
        return "minutes", 60
    return ("hours", 3600) if seconds < 72 * 3600 else ("days", 86400)


def _days(report: Report) -> dict[str, Any]:
    traces = [_board(board) for board in report.boards if board.rises]
    for kind, symbol, colour in (("public", "star", "$orange"), ("private", "diamond", "$red")):
        known = [one for one in report.submissions if getattr(one, kind) is not None]
        if known:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": f"submitted, {kind} score",
                    "x": [one.date.replace(tzinfo=None).isoformat(timespec="seconds") for one in known],
                    "y": [getattr(one, kind) for one in known],
                    "text": [one.name for one in known],
                    "line": {"dash": "dot", "color": colour, "width": 1},
                    "marker": {"symbol": symbol, "size": 11, "color": colour},
                    "hovertemplate": "%{text}: %{y:.4f}<extra></extra>",
                }
            )
    return figure(traces, x="", y="mIoU", height=400, xaxis={"type": "date"})


def _board(board: StudyScores) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "line": {"shape": "hv"},
        "name": f"best of {board.study}",
        "x": dates(board.rises),
        "y": [round(score, 5) for _, score, _ in board.rises],
        "text": [f"{board.study}, trial {number}" for *_, number in board.rises],
        "hovertemplate": "%{text}: %{y:.4f}<extra></extra>",
    }


def _curves(study: StudyRecord) -> dict[str, Any]:
    members = [trial for trial in study.scored if trial.number in study.members]
    others = [trial for trial in study.scored if trial.number not in study.members]
    stopped = [trial for trial in others if trial.status == "stopped"]
    rest = [trial for trial in others if trial.status != "stopped"]
    kinds = [
        (stopped, "stopped early", {"line": {"color": "$muted", "width": 1}, "opacity": 0.55}),
        (rest, "not stopped", {"line": {"color": "$blue", "width": 1.5}, "opacity": 0.8}),
        (members, "member of the vote", {"line": {"color": "$orange", "width": 2.5}}),
    ]
    traces = [_lines(trials, name, style) for trials, name, style in kinds if trials]
    ends = [trial for trial in stopped if trial.scores]
    if ends:
        traces.append(
            points(
                ends,
                (len(trial.scores) for trial in ends),
                (trial.scores[-1] for trial in ends),
                name="where it was stopped",
                marker={"symbol": "x-thin-open", "size": 6, "color": "$muted"},
            )
        )
    rungs = [
        {"type": "line", "x0": rung, "x1": rung, "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dot", "width": 1}}
        for rung in study.rungs
    ]
    names = [
        {"x": rung, "y": 0, "yref": "paper", "yanchor": "bottom", "xanchor": "left", "showarrow": False, "text": "rung"}
        for rung in study.rungs
    ]
    xaxis = {"dtick": 1} if study.epochs <= 20 else {}
    return figure(traces, x="epoch", y="holdout mIoU", height=460, shapes=rungs, annotations=names, xaxis=xaxis)


def _lines(trials: list[Any], name: str, style: dict[str, Any]) -> dict[str, Any]:
    xs = [list(range(1, len(trial.scores) + 1)) for trial in trials]
    mode = "lines+markers" if max(map(len, xs)) < 12 else "lines"
    return lines(trials, xs, [trial.scores for trial in trials], name=name, mode=mode, marker={"size": 4}, **style)
