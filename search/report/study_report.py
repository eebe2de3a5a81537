"""The report of a study as a file: gathered, drawn, written whole, and kept in MLflow beside the study's run."""

from collections.abc import Callable
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search.report.html.page import render
from search.report.record.gather import Report, gather
from search.study.study import Study
from trainables.files import write_text

REPORT_FILE = "report.html"


def write_report(
    study: Study,
    connect: Callable[[], tuple[MlflowClient, str]],
    *,
    scores: Path | None = None,
    out: Path | None = None,
) -> tuple[Path, Report]:
    """Write the report of a study, and log it to the study's run in MLflow.

    Args:
        study: The study.
        connect: Returns MLflow's client and the id of the experiment.
        scores: A CSV file of what was submitted and what it scored.
        out: The file to write; report.html in the study's directory by default.

    Returns:
        Where the report is, and what it shows. Where MLflow did not take it, its `lacks` say so, and the file is there
        all the same.

    Raises:
        UserError: The study's own files or `scores` cannot be read.
    """
    report = gather(study, connect, scores)
    path = out or study.directory / REPORT_FILE
    write_text(path, render(report))
    if report.registered.parent_id:
        try:
            connect()[0].log_artifact(report.registered.parent_id, str(path))
        except (MlflowException, OSError) as error:
            report.lacks.append(f"MLflow did not take the report ({str(error).splitlines()[0]}).")
    return path, report
