"""The flags of `segvote ensemble`, and the command that asks for the same ensemble again. Nothing starts MLflow."""

import dataclasses
import shlex

import pytest
from click.testing import CliRunner

from ensembling.runs.ensemble import EnsembleRecord
from ensembling.selection.modes import MODES as SELECTION_MODES
from search.cli import ensemble as ensemble_cli
from search.cli import main
from search.cli.ensemble import ensemble_command
from search.commands.ensemble.memory_bound import MemoryBound
from search.commands.ensemble.options import MODES, EnsembleOptions
from trainables.errors import UserError


@pytest.fixture
def parsed(monkeypatch, tmp_path):
    """Parses arguments; returns the options, name and directory that the command would run with."""
    monkeypatch.chdir(tmp_path)

    def parse(*arguments):
        context = ensemble_command.make_context("ensemble", list(arguments))
        flags = dict(context.params)
        name, out, _ = flags.pop("name"), flags.pop("out"), flags.pop("as_json")
        return EnsembleOptions(**flags), name, out

    return parse


def test_lists_are_given_at_once_or_one_by_one(parsed):
    at_once, *_ = parsed("--studies", "a", "b", "--max-members", "7", "--start", "r1", "r2", "r3", "--name", "x")
    one_by_one, *_ = parsed("--studies", "a", "--start", "r1", "--studies", "b", "--start=r2", "--start", "r3")
    assert at_once.studies == one_by_one.studies == ("a", "b")
    assert at_once.start == one_by_one.start == ("r1", "r2", "r3")
    assert at_once.max_members == 7


def test_defaults_of_flags_are_those_of_the_options(parsed):
    assert parsed() == (EnsembleOptions(studies=()), None, None)


def test_every_option_is_a_flag_and_explained():
    names = {option.name for option in ensemble_command.params}
    assert names == {field.name for field in dataclasses.fields(EnsembleOptions)} | {"name", "out", "as_json"}
    assert not [option.name for option in ensemble_command.params if not option.help]


def test_modes_are_those_of_the_selection():
    assert tuple(SELECTION_MODES) == MODES


@pytest.mark.parametrize(
    "options",
    [
        {"studies": ("a",)},
        {"studies": ("a", "b"), "where": "params.head = 'fpn'", "min_miou": 0.25, "all_candidates": True},
        {"studies": ("a",), "mode": "swap", "max_members": 5, "must_include": ("r 1", "r2"), "start": ("r3",)},
        {
            "studies": ("a",),
            "shortlist": 64,
            "seed": 3,
            "runs_dir": "/elsewhere/my runs",
            "tracking_uri": "http://127.0.0.1:5000",
        },
    ],
)
def test_the_command_asks_for_the_same_of_the_runs_ended_by_then(parsed, options):
    options = EnsembleOptions(**options)
    start, *arguments = shlex.split(options.command(123))[1:]
    assert start == "ensemble"
    again, *_ = parsed(*arguments)
    clause = "attributes.end_time <= 123"
    assert again.where == (f"{options.where} and {clause}" if options.where else clause)
    assert dataclasses.replace(again, where=options.where) == options
    assert again.command(123) == options.command(123)


def test_what_changes_no_result_is_no_part_of_the_same_ensemble(parsed):
    plain, *_ = parsed("--studies", "a")
    other, *_ = parsed("--studies", "a", "--threads", "7", "--memory", "1.5")
    assert (other.threads, other.memory) == (7, 1.5)
    assert other.command(5) == plain.command(5)
    assert other.recorded() == plain.recorded()
    shorter, *_ = parsed("--studies", "a", "--shortlist", "20")
    assert shorter.recorded() == {**plain.recorded(), "shortlist": 20}


def test_memory_is_shared_by_what_is_read_and_what_is_selected():
    assert MemoryBound(None, 10**9).maps == MemoryBound(None, 10**9).selection == float("inf")
    bound = MemoryBound(8, 10**9)  # what a gigapixel of masks, images and folds leaves of 8 GiB
    assert 0 < bound.maps + bound.selection == 8 * 2**30 - 6 * 10**9 - 2**29
    with pytest.raises(UserError, match=r"--memory 6: the holdout's 1,000,000,000 pixels take 6.1 GiB before any"):
        MemoryBound(6, 10**9)


def test_defaults_are_left_out_of_the_command(parsed):
    assert parsed("--studies", "a")[0].command(5) == ("segvote ensemble --studies a --where 'attributes.end_time <= 5'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "best"], "'best' is none of greedy, swap"),
        (["--max-members", "0"], "--max-members"),
        (["--min-miou", "70"], "--min-miou"),
        (["--shortlist", "0"], "--shortlist"),
        (["--threads", "0"], "--threads"),
        (["--memory", "0"], "--memory"),
        (["--study", "a"], "No such option"),
        (["a"], "unexpected extra argument"),
        ([], "segvote: there is no mlflow.db in --runs-dir .*runs: run a search first, or give the --runs-dir"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["ensemble", *arguments]) == 2
    with pytest.raises(ValueError, match=message):
        raise ValueError(capsys.readouterr().err)
    assert not (tmp_path / "runs").exists()


def test_help_shows_the_lists():
    shown = CliRunner().invoke(ensemble_cli.ensemble_command, ["--help"]).output
    assert "--studies STUDY…" in shown


def test_every_option_that_is_recorded_is_a_field_of_the_record():
    fields = {field.name for field in dataclasses.fields(EnsembleRecord)}
    assert set(EnsembleOptions(studies=("night",)).recorded()) <= fields
