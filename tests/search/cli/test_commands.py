"""The command line: flags to settings, mistakes to one message and exit code 2. Nothing here starts Ray."""

import dataclasses
import inspect

import pytest

from search.cli.commands import HOW_TO_GO_ON, commands, main, search_command
from search.cli.options import seconds
from search.cli.refit import refit_command
from search.study.settings import RefitSettings, Settings
from search.study.space import Space
from spaces import SPACES
from tests.trainables.data.made import annotation, coco, image, write
from trainables.errors import UserError


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs `segvote search` in an empty directory; returns its exit code, its output and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["search", "--cache-dir", str(tmp_path / "cache"), *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("30m", 1800), ("8h", 28800), ("2d", 172800), ("45", 45), ("1.5h", 5400), (None, None)],
)
def test_time_budgets(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "h", "soon", "-5m", "0s", "nan", "inf", "5x", "1h30m"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UserError, match=f"--time-budget is '{text}', but must be a time like 90s"):
        seconds(text)


def test_every_setting_is_a_flag_with_the_same_default():
    flags = search_command.make_context("search", []).params
    assert flags.pop("list_spaces") is False
    assert set(flags) == {field.name for field in dataclasses.fields(Settings)}
    assert Settings(**flags) == Settings()


def test_every_setting_of_a_refit_is_a_flag_but_what_its_ensemble_says():
    flags = refit_command.make_context("refit", []).params
    assert set(flags) == {field.name for field in dataclasses.fields(RefitSettings)} - {"unlabelled"}
    assert RefitSettings(**flags) == RefitSettings()


def test_every_flag_is_explained():
    assert not [option.name for one in (search_command, refit_command) for option in one.params if not option.help]
    assert all(inspect.getdoc(one.callback) for one in commands.commands.values())


def test_help_is_shown(command):
    code, out, _ = command("--help")
    assert code == 0
    assert "--grid KEY[=A,B]" in out


def test_spaces_are_listed_with_their_choices(command):
    code, out, _ = command("--list-spaces")
    assert code == 0
    for name in SPACES:
        assert f"\n{name}  " in f"\n{out}"
        for choice in Space.load(name).choices.values():
            assert f"    {choice.name:<22} {choice}\n" in out


SPACE = """
def suggest(trial):
    return {"head": "fpn", "backbone": "lcnet_050", "pretrained": False, "image_size": "32"}
"""


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "my_space.py"
    path.write_text(SPACE)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "0"], "--trials"),
        (["--epoch", "3"], "No such option.*--epoch"),
        (["--unlabelled", "void"], "'void' is not one of 'background', 'ignore'"),
        (["--time-budget", "soon"], "segvote: --time-budget is 'soon', but must be"),
        (["--weights-dir", "nothing"], "segvote: --weights-dir .*nothing is no directory"),
        (["--space", "quick"], "segvote: unknown space 'quick', choose one of quickstart"),
        (["--name", "a/b"], "segvote: --name 'a/b': use letters"),
        (["--resume"], "segvote: there is no study of space quickstart in .*runs to resume"),
        (["--resume", "--name", "mine"], "segvote: there is no study mine in .*runs to resume; studies there: none"),
        (["--fix", "lr"], "segvote: --fix lr is not understood"),
        (["--fix", "learning_rate=1"], "segvote: --fix learning_rate: unknown key; quickstart suggests head, backbone"),
        (["--fix", "head=unett"], "segvote: unknown head 'unett', choose one of unet"),
        (["--image-size", "8"], "segvote: image_size is '8', but must be N or WIDTHxHEIGHT"),
        (["--data", "nothing"], "segvote: .*nothing"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(command, tmp_path, arguments, message):
    code, _, errors = command(*arguments)
    assert code == 2
    assert "Traceback" not in errors
    with pytest.raises(ValueError, match=f"(?s){message}"):
        raise ValueError(errors)
    assert not (tmp_path / "runs").exists()


def test_a_data_set_that_cannot_be_used_is_a_message(command, space, tmp_path):
    write(tmp_path / "photos", photos=False, train=coco([image(1, "a.png")], [annotation(1, 1, 1)]))
    code, _, errors = command("--space", space, "--data", "photos")
    assert code == 2
    assert "a.png" in errors
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_is_said_and_has_its_own_exit_code(command, tmp_path):
    (tmp_path / "my_space.py").write_text("raise KeyboardInterrupt\n")
    code, _, errors = command("--space", "my_space.py")
    assert code == 130
    assert errors.strip() == f"segvote: stopped; {HOW_TO_GO_ON}"


def test_the_ui_needs_a_store(tmp_path, capsys):
    assert main(["ui", "--runs-dir", str(tmp_path)]) == 2
    assert "there is no" in (said := capsys.readouterr().err)
    assert "run a search first" in said
