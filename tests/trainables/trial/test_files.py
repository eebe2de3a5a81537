"""The ledger of a trial: what is damaged is named, and never taken for what was trained."""

import pytest

from trainables.errors import UserError
from trainables.files import write_json, write_text
from trainables.trial.files import TrialFiles


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


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"epoch": 1}', '{"epo', '{"epoch": 3}'], "line 2: "),
        (['{"epoch": 1}', '{"epoch": 3}'], "line 2 is not the record of epoch 2"),
        (['{"epoch": 1}', '{"epoch": 1}'], "line 2 is not the record of epoch 2"),
        (["1", '{"epoch": 2}'], "line 1 is not the record of epoch 1"),
        (["[" * 200_000, '{"epoch": 2}'], "line 1: "),
    ],
)
def test_a_hole_in_the_ledger_is_named(files, lines, said):
    write_text(files.epochs, "\n".join(lines) + "\n")
    with pytest.raises(UserError, match=rf"epochs\.jsonl is damaged \({said}.*restore it from a backup, or delete"):
        files.records()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("verdict", {"status": "stopped", "epochs": 2}, "failure: Field required"),
        ("verdict", {"status": "won", "epochs": 2, "failure": None}, "status: Input should be 'completed'"),
        ("suggestion", {"params": [], "sampled": {}}, "params: Input should be a valid dictionary"),
        ("config", [], "Input should be a valid dictionary"),
    ],
)
def test_a_damaged_file_is_named_with_the_way_on(files, name, content, said):
    write_json(getattr(files, name), content)
    with pytest.raises(UserError, match=rf"{name}\.json is damaged \(.*{said}.*delete .*resume"):
        getattr(files, f"read_{name}")()


def test_a_trial_without_a_verdict_has_not_ended(files):
    assert files.read_verdict() is None


def test_forgetting_the_training_state_keeps_the_result(files):
    kept = [files.epochs, files.best_weights, files.predictions, files.config, files.log]
    forgotten = [files.state, files.best_maps, files.scratch_maps]
    for path in kept + forgotten:
        write_text(path, "x")
    files.forget_training_state()
    files.forget_training_state()  # a second time is no error
    assert [path.exists() for path in kept] == [True] * 5
    assert [path.exists() for path in forgotten] == [False] * 3
