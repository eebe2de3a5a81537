"""What --ensemble means, found among files, and what is said where it means nothing."""

import pytest

from search.study.references import find_reference
from trainables.errors import UserError
from trainables.files import write_json, write_text


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Studies g6 (ended, two trials of which the second failed) and night (not ended), a refit, and an ensemble."""
    runs = tmp_path / "runs"
    for name, refit in (("g6", None), ("night", None), ("again", {"models": []})):
        write_json(
            runs / name / "study.json", {"format_version": 2, "id": name, "name": f"{name}-first", "refit": refit}
        )
    write_json(runs / "g6" / "ensemble.json", {})
    write_json(runs / "ensembles" / "both" / "ensemble.json", {})
    for number in ("0001", "0002"):
        write_json(runs / "g6" / "trials" / number / "config.json", {})
    write_text(runs / "g6" / "trials" / "0001" / "best.safetensors", "weights")
    monkeypatch.chdir(tmp_path)
    return runs


def test_a_directory_of_something_else_hides_no_study_of_its_name(runs):
    (runs.parent / "g6").mkdir()
    assert find_reference("g6", runs) == str(runs / "g6" / "ensemble.json")


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("g6", "g6/ensemble.json"),
        ("runs/g6", "g6/ensemble.json"),
        ("runs/g6/ensemble.json", "g6/ensemble.json"),
        ("both", "ensembles/both/ensemble.json"),
        ("g6-0001", "g6/trials/0001"),
        ("g6-first", "g6/ensemble.json"),
        ("g6-first-0001", "g6/trials/0001"),
        ("runs/g6/trials/0001", "g6/trials/0001"),
        ("g6/trials/0001", "g6/trials/0001"),
    ],
)
def test_a_name_or_path_means_a_file(runs, reference, found):
    assert (runs.parent / find_reference(reference, runs)).resolve() == runs / found


@pytest.mark.parametrize("reference", ["models:/night/3", "models:/night@best", "0123456789abcdef" * 2])
def test_what_mlflow_keeps_is_left_to_it(runs, reference):
    assert find_reference(reference, runs) == reference


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "night",
            r"(?s)--ensemble night: the study night in .*runs has no ensemble yet: .*"
            r"segvote search --resume --name night\n.*segvote ensemble --studies night$",
        ),
        ("again", r"(?s)the study again in .* has no ensemble yet.*segvote refit --resume --name again$"),
        ("g6-0002", r"the trial in .*0002 has no weights, since it failed or has not finished an epoch"),
        ("g6-0007", "--ensemble g6-0007: the study g6 has no trial 7; it has 1 to 2"),
        (
            "nigth",
            r"is no study or trial in --runs-dir .*runs \(did you mean night\?\).* there: again, g6, night",
        ),
        ("runs/gone", "--ensemble runs/gone: there is no such file or directory"),
        ("gone.json", r"--ensemble gone\.json: there is no such file"),
        ("runs", "runs holds no ensemble.json and is no study or trial"),
    ],
)
def test_what_is_missing_is_said_with_the_command_that_makes_it(runs, reference, message):
    with pytest.raises(UserError, match=message):
        find_reference(reference, runs)


def test_the_command_names_the_runs_directory_where_it_is_another_one(runs, tmp_path):
    (tmp_path / "runs").rename(tmp_path / "other")
    with pytest.raises(UserError, match=r"--resume --name night --runs-dir .*other"):
        find_reference("night", tmp_path / "other")


def test_the_commands_name_the_store_where_one_was_given(runs):
    with pytest.raises(UserError) as told:
        find_reference("night", runs, "http://127.0.0.1:5000")
    assert str(told.value).count("--tracking-uri http://127.0.0.1:5000") == 2
