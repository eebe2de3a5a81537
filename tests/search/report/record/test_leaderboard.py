"""Scores over days, of studies and of submissions."""

import pytest

from search.report.record.leaderboard import read_submissions, rises
from search.report.record.study_record import read_study_record
from trainables.errors import UserError
from trainables.files import write_json


def test_the_best_score_rises_in_the_order_of_time_not_of_trials(study):
    for number, times in ((1, (30.0, 50.0)), (2, (10.0, 40.0))):
        write_json(study.trial_files(number).suggestion, {"params": {}, "sampled": {}})
        for epoch, time in enumerate(times, start=1):
            study.trial_files(number).append_record(
                {"epoch": epoch, "holdout/miou": 0.1 * number * epoch, "time": time}
            )
    assert rises(read_study_record(study)).rises == ((10.0, 0.2, 2), (40.0, 0.4, 2))


def test_submissions_are_read_in_order_of_their_dates(tmp_path):
    file = tmp_path / "board.csv"
    file.write_text("date,name,public,private\n2026-05-12 18:30,vote of 7,0.790,0.723\n2026-05-10,swin,0.731,\n")
    swin, vote = read_submissions(file)
    assert (swin.name, swin.public, swin.private) == ("swin", 0.731, None)
    assert (vote.name, vote.public, vote.private) == ("vote of 7", 0.790, 0.723)
    assert (vote.date.day, vote.date.hour) == (12, 18)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when,name\n", "has the columns when, name, but must have date, name, public, private"),
        ("", "has the columns none"),
        ("date,name,public\nyesterday,swin,0.7\n", "line 2: Invalid isoformat string: 'yesterday'"),
        ("date,name,public\n2026-05-10,swin,0.7\n2026-05-11,swin,79\n", "line 3: the score 79 is not between 0 and 1"),
        ("date,name,public\n2026-05-10,swin,high\n", "line 2: could not convert string to float: 'high'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, message):
    (tmp_path / "board.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_submissions(tmp_path / "board.csv")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"--scores .*none\.csv cannot be read"):
        read_submissions(tmp_path / "none.csv")
