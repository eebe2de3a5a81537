"""The ledger of a trial: nothing half-written is ever read."""

import os

import pytest

from trainables.errors import UserError
from trainables.trial.files import TrialFiles, read_json, read_ledger, replacing, write_json, write_text


@pytest.fixture
def files(tmp_path):
    return TrialFiles(tmp_path / "trials" / "0007")


def test_the_number_is_the_directorys_name(files):
    assert files.number == 7


def test_a_trial_that_never_ran_has_no_records(files):
    assert files.records() == []


def test_records_come_back_in_order(files):
    for epoch in (1, 2, 3):
        files.append_record({"epoch": epoch, "holdout/miou": epoch / 10})
    assert files.records() == [{"epoch": epoch, "holdout/miou": epoch / 10} for epoch in (1, 2, 3)]


def test_a_torn_last_line_is_left_out_and_overwritten(files):
    files.append_record({"epoch": 1})
    with files.epochs.open("a") as file:
        file.write('{"epoch": 2, "holdout/mi')
    assert files.records() == [{"epoch": 1}]
    files.append_record({"epoch": 2})
    assert files.records() == [{"epoch": 1}, {"epoch": 2}]
    assert files.epochs.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_half_way():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_half_way()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_not_seen_before_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"


def test_a_damaged_file_of_ours_is_named_with_the_way_on(tmp_path):
    path = tmp_path / "verdict.json"
    path.write_text('{"status": ')
    with pytest.raises(UserError, match=r"verdict\.json is damaged .*: delete it, and --resume goes on"):
        read_ledger(path, remedy="delete it")


def test_json_comes_back(tmp_path):
    value = {"params": {"lr": 0.001, "head": "fpn"}, "list": [1, None, True]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_forgetting_the_training_state_keeps_the_result(files):
    kept = [files.epochs, files.best_weights, files.predictions, files.config, files.log]
    forgotten = [files.state, files.best_maps, files.scratch_maps]
    for path in kept + forgotten:
        write_text(path, "x")
    files.forget_training_state()
    files.forget_training_state()  # a second time is no error
    assert [path.exists() for path in kept] == [True] * 5
    assert [path.exists() for path in forgotten] == [False] * 3
