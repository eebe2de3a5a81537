"""When the report of a running study is written again."""

from pathlib import Path

from search.study.settings import Settings
from search.tuning.report_refresh import EVERY_S, ReportRefresh, report_flags, start_report


class Process:
    def __init__(self):
        self.ended = False

    def poll(self):
        return 0 if self.ended else None

    def terminate(self):
        self.ended = True

    def wait(self):
        assert self.ended


def test_reports_are_begun_rarely_and_one_at_a_time():
    now, begun = [0.0], []

    def start(flags):
        begun.append((now[0], Process()))
        return begun[-1][1]

    refresh = ReportRefresh(["report"], start=start, clock=lambda: now[0])

    def end_at(seconds):
        now[0] = seconds
        refresh.on_trial_complete(0, [], None)
        return [moment for moment, _ in begun]

    assert end_at(1) == []
    assert end_at(EVERY_S) == [EVERY_S]
    assert end_at(3 * EVERY_S) == [EVERY_S]  # the first is still being written
    begun[0][1].ended = True
    assert end_at(3 * EVERY_S + 1) == [EVERY_S, 3 * EVERY_S + 1]
    begun[1][1].ended = True
    assert end_at(3 * EVERY_S + 2) == [EVERY_S, 3 * EVERY_S + 1]


def test_one_that_is_being_written_is_ended_with_the_search():
    process = Process()
    refresh = ReportRefresh(["report"], start=lambda flags: process, clock=iter([0.0, EVERY_S, EVERY_S]).__next__)
    refresh.on_trial_complete(0, [], None)
    refresh.stop()
    assert process.ended


def test_the_process_is_the_command_of_the_same_places(tmp_path):
    settings = Settings(runs_dir=tmp_path / "runs", cache_dir=tmp_path / "cache", tracking_uri="http://127.0.0.1:5000")
    flags = report_flags("night", settings)
    assert flags[:3] == ["report", "--study", "night"]
    assert {str(tmp_path / "runs"), str(tmp_path / "cache"), "http://127.0.0.1:5000"} <= set(flags)


def test_the_process_runs_segvote(tmp_path):
    """A study that is not there is a user's mistake, with its exit code."""
    process = start_report(report_flags("none", Settings(runs_dir=Path(tmp_path))))
    assert process.wait() == 2
