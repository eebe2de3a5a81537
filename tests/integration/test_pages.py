"""The pages that people open, in a real browser: MLflow's, on a server with a finished study, and the report.

The browser is Debian's chromium, driven by Playwright. Without it these tests are skipped.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from ensembling import read_predictions
from ensembling.runs.ensemble import read_ensemble
from search.report.pictures import holdout_picture
from search.report.study_report import write_report
from search.study.settings import Settings
from search.study.study import Study, new_study
from search.study.trial_end import Outcome, keep_outcome
from search.tracking.store import connect, default_tracking_uri
from search.tracking.tracker import Tracker
from tests import tiny
from tests.search.report import made
from trainables.data import load_dataset
from trainables.trial.files import TrialFiles

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="these tests need playwright, an extra of the development set"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("these tests need a browser: apt-get install chromium", allow_module_level=True)

pytestmark = pytest.mark.long  # minutes: python -m pytest -m long tests/integration/test_pages.py
START_S = 240  # of MLflow's server on a busy machine
WAIT_MS = 120_000


@dataclass
class Finished:
    """A finished study in MLflow, and where it is."""

    study: Study
    runs: Path
    experiment: str
    parent: str
    trials: dict[int, str]
    members: list[int]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, empty_store) -> Finished:
    """Twelve trials with their curves, three of which vote, told to MLflow by the code that a search uses."""
    base = tmp_path_factory.mktemp("pages")
    runs = base / "runs"
    runs.mkdir()
    shutil.copy(empty_store, runs / "mlflow.db")
    tiny.write_data(base / "data")
    settings = Settings(
        name="night", space="cnn_heads", data=str(base / "data"), runs_dir=runs, cache_dir=base / "cache"
    )
    study = new_study(settings, load_dataset(base / "data"), tiny.SPLITS)
    client, experiment = connect(default_tracking_uri(runs), runs)
    with study.claimed(resume=False):
        made.make_search(study, trials=12, epochs=6, voters=4)
        tracker = Tracker(client, experiment, study.name, study.id)
        ensemble = read_ensemble(study.ensemble_file)
        for files in study.trials():
            verdict = files.read_verdict()
            if files.predictions.exists():
                _draw(study, files)
            tracker.start_trial(files.number, files.read_suggestion()["params"])
            tracker.log_epochs(files.number, files.records())
            outcome = Outcome.of(study, files.number, epochs=6, last_rung=3, failure=verdict["failure"])
            tracker.end_trial(files.number, outcome.mlflow_status, outcome.tags, keep_outcome(study, outcome, files))
        tracker.tag_members({member.trial for member in ensemble.members})
        tracker.describe_result("The vote is on the page of the study.")
        tracker.end_study()
    write_report(study, lambda: (client, experiment))
    numbers = [member.trial for member in ensemble.members]
    trials = {number: tracker.trial_run_id(number) for number in range(1, 13)}
    return Finished(study, runs, experiment, tracker.parent_id, trials, numbers)


def _draw(study: Study, files: TrialFiles) -> None:
    """Write the picture that a trial keeps at its end."""
    predictions = read_predictions(files.predictions)
    packed = study.data.open((32, 48))
    holdout_picture(packed, study.data.splits.holdout, predictions, study.data.class_names).save(files.picture)


@pytest.fixture(scope="module")
def server(finished, tmp_path_factory) -> Iterator[str]:
    """`segvote ui` on a free port of the loopback; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "import sys; from search.cli import main; sys.exit(main(sys.argv[1:]))"
    log = (tmp_path_factory.mktemp("server") / "log.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", program, "ui", "--runs-dir", str(finished.runs), "--port", str(port)],
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", process)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def _wait_for(address: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(1)
    raise AssertionError(f"{address} does not answer")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"], timeout=WAIT_MS
        )
        yield found
        found.close()


@pytest.fixture
def page(browser, tmp_path, request) -> Iterator[object]:
    """A page whose errors fail the test; PAGES names a directory for screenshots."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    shown = context.new_page()
    yield shown
    if "PAGES" in os.environ:
        shown.screenshot(path=Path(os.environ["PAGES"]) / f"{request.node.name}.png")
    context.close()


def test_members_are_found_by_their_tag(page, server, finished):
    where = quote("tags.`segvote.member` = 'true'")
    page.goto(f"{server}/#/experiments/{finished.experiment}/runs?workflowType=machine_learning&searchFilter={where}")
    _fold_out(page)
    for number in finished.members:
        page.get_by_text(f"night-{number:04d}", exact=True).first.wait_for()
    others = set(finished.trials) - set(finished.members)
    assert not any(page.get_by_text(f"night-{number:04d}", exact=True).count() for number in others)


def _fold_out(page) -> None:
    """Show the trials below the study's row."""
    row = page.get_by_role("row").filter(has_text="night").first
    row.locator("button").first.click()


def test_a_study_folds_out_into_its_trials(page, server, finished):
    page.goto(f"{server}/#/experiments/{finished.experiment}/runs?workflowType=machine_learning")
    _fold_out(page)
    for number in finished.trials:
        page.get_by_text(f"night-{number:04d}", exact=True).first.wait_for()


def test_the_studys_page_links_to_the_comparison_of_its_trials(page, server, finished):
    page.goto(f"{server}/#/experiments/{finished.experiment}/runs/{finished.parent}")
    link = page.get_by_role("link", name="Compare the 12 trials")
    link.wait_for()
    page.goto(f"{server}/{link.get_attribute('href')}")
    page.get_by_text("Comparing 12 Runs").first.wait_for()
    page.get_by_text("Parallel Coordinates Plot").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()


def test_a_trials_curve_is_shown(page, server, finished):
    run = finished.trials[finished.members[0]]
    page.goto(f"{server}/#/experiments/{finished.experiment}/runs/{run}/model-metrics")
    page.get_by_text("holdout/miou").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()


def test_a_trials_picture_is_shown(page, server, finished):
    run = finished.trials[finished.members[0]]
    page.goto(f"{server}/#/experiments/{finished.experiment}/runs/{run}/artifacts/holdout.png")
    picture = page.locator("img[src^='blob:'], img[src*='holdout.png'], .image-outer-container img").first
    picture.wait_for()
    page.wait_for_function("element => element.naturalWidth > 0", arg=picture.element_handle())


def test_the_report_is_shown_among_the_artifacts(page, server, finished):
    page.goto(f"{server}/#/experiments/{finished.experiment}/runs/{finished.parent}/artifacts/report.html")
    page.locator("iframe").first.wait_for()
    shown = page.frame_locator("iframe").first
    shown.get_by_text("mIoU on the 2 holdout photos").first.wait_for()


@pytest.fixture
def report(page, finished):
    """The report, opened from disk without a network, on which no script has failed."""
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((finished.study.directory / "report.html").as_uri())
    yield page
    assert errors == []
    assert [address for address in asked if not address.startswith(("file:", "data:", "blob:"))] == []


def test_every_chart_of_the_report_is_drawn(report):
    report.evaluate("document.querySelectorAll('.chart').forEach((chart) => draw(chart))")
    charts = report.locator(".chart").count()
    assert charts > 8
    assert report.locator(".chart .main-svg").count() >= charts
    report.locator(".chart[data-figure=curves] path.js-line").first.wait_for(state="attached")


def test_a_click_on_a_trial_shows_its_configuration_and_its_command(report, finished):
    best = finished.members[0]
    report.locator(f"button[data-trial='{best}']").first.click()
    dialog = report.locator("dialog#trial")
    assert dialog.get_by_role("heading", name=f"night-{best:04d}").is_visible()
    assert dialog.locator("#trial-command").text_content().startswith("segvote search --trials 1")
    assert finished.trials[best] in dialog.locator("#trial-run").text_content()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_a_click_on_a_point_shows_its_trial(report):
    report.evaluate("draw(document.querySelector('[data-figure=path]'))")
    point = report.locator("[data-figure=path] .scatterlayer .trace:last-child .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    report.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    report.locator("[data-figure=path] .hoverlayer .hovertext").first.wait_for()
    report.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    report.locator("dialog#trial[open]").wait_for()


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_phone_and_desk_in_light_and_dark(browser, finished, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, has_touch=width < 600)
    shown = context.new_page()
    shown.goto((finished.study.directory / "report.html").as_uri())
    shown.evaluate("document.querySelectorAll('.chart').forEach((chart) => draw(chart))")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
    context.close()
