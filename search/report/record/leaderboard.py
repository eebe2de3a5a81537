"""Scores over days: those of all studies on one holdout, and those that a competition gave for submissions."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from search.report.record.study_record import StudyRecord
from trainables.errors import UserError

COLUMNS = ("date", "name", "public", "private")


@dataclass(frozen=True)
class Submission:
    """What was submitted when, and what it scored; None where the score is not known."""

    date: datetime
    name: str
    public: float | None
    private: float | None


@dataclass(frozen=True)
class StudyScores:
    """The moments at which a study's best score rose, in seconds since 1970, each with the score and the trial."""

    study: str
    rises: tuple[tuple[float, float, int], ...]


def rises(study: StudyRecord) -> StudyScores:
    """Return when the study's best holdout mIoU rose; nothing of epochs that were recorded without their time."""
    moments = sorted(
        (record["time"], record["holdout/miou"], trial.number)
        for trial in study.scored
        for record in trial.records
        if "time" in record and "holdout/miou" in record
    )
    found: list[tuple[float, float, int]] = []
    for moment in moments:
        if not found or moment[1] > found[-1][1]:
            found.append(moment)
    return StudyScores(study.name, tuple(found))


def read_submissions(path: Path) -> list[Submission]:
    """Read a CSV file with the columns date, name, public and private, in order of the dates.

    Dates are like 2026-05-12 or 2026-05-12 18:30; a score may be empty. Raises UserError with the line that is wrong.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if not table.fieldnames or {"date", "name"} - set(table.fieldnames):
                raise UserError(
                    f"--scores {path} has the columns {', '.join(table.fieldnames or ()) or 'none'}, but must have "
                    f"{', '.join(COLUMNS)} (public or private may be left out)"
                )
            found = [_submission(path, table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--scores {path} cannot be read as CSV ({error})") from error
    return sorted(found, key=lambda one: one.date)


def _submission(path: Path, line: int, row: dict[str, str | None]) -> Submission:
    try:
        date = datetime.fromisoformat((row["date"] or "").strip())
        scores = (_score(row.get(key)) for key in ("public", "private"))
        return Submission(date.astimezone(), (row["name"] or "").strip(), *scores)
    except ValueError as error:
        raise UserError(
            f"--scores {path}, line {line}: {error}; write a line like 2026-05-12 18:30,vote of 7,0.731,0.702"
        ) from error


def _score(text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    score = float(text)
    if not 0 <= score <= 1:
        raise ValueError(f"the score {text.strip()} is not between 0 and 1")
    return score


def dates(scores: Iterable[tuple[float, float, int]]) -> list[str]:
    """Return the moments as local dates and times, as charts take them."""
    return [datetime.fromtimestamp(moment).isoformat(timespec="seconds") for moment, *_ in scores]
