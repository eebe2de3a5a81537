"""The command line: flags to settings, mistakes to one message and exit code 2. Nothing here starts Ray."""

import dataclasses
import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from rich.console import Console

from search.check_flags import check_flags
from search.cli import main
from search.cli.commands import commands
from search.cli.errors import HOW_TO_GO_ON
from search.cli.options import seconds
from search.cli.refit import refit_command
from search.run import search_command
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
    [("90s", 90), ("30m", 1800), ("8h", 28800), ("2d", 172800), ("1.5h", 5400), (None, None)],
)
def test_time_budgets(text, expected):
    assert seconds(text) == expected


def test_a_time_without_a_unit_is_asked_for_one():
    with pytest.raises(UserError, match="--time-budget 8 has no unit: write 8s, 8m, 8h or 8d"):
        seconds("8")


@pytest.mark.parametrize("text", ["", "h", "soon", "-5m", "0s", "nan", "inf", "5x", "1h30m"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UserError, match=f"--time-budget is '{text}', but must be a time like 90s"):
        seconds(text)


def test_every_setting_is_a_flag_with_the_same_default():
    flags = search_command.make_context("search", []).params
    assert (flags.pop("list_spaces"), flags.pop("as_json")) == (False, False)
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


def test_a_process_that_goes_on_after_a_command_hears_signals_as_before(command):
    def hears():
        return [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)], sys.unraisablehook

    before = hears()
    command("--help")
    assert hears() == before


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
        (["--unlabelled", "void"], "'void' is none of background, ignore"),
        (["--time-budget", "soon"], "segvote: --time-budget is 'soon', but must be"),
        (["--weights-dir", "nothing"], "segvote: --weights-dir .*nothing is no directory"),
        (
            ["--space", "quick"],
            r"segvote: unknown space 'quick' \(did you mean quickstart\?\): choose one of quickstart",
        ),
        (["--name", "a/b"], "segvote: --name 'a/b': use letters"),
        (["--resume"], "segvote: there is no study of space quickstart in --runs-dir .*runs to resume"),
        (
            ["--resume", "--name", "mine"],
            "segvote: there is no study mine in --runs-dir .*runs to resume; studies there: none",
        ),
        (["--fix", "lr"], "segvote: --fix lr is not understood"),
        (["--fix", "learning_rate=1"], r"segvote: --fix learning_rate: unknown key.*"),
        (["--fix", "head=unett"], r"segvote: unknown head 'unett' \(did you mean unet\?\): choose one of unet"),
        (["--image-size", "8"], "segvote: image_size is '8', but must be N or WIDTHxHEIGHT"),
        (["--data", "nothing"], "segvote: --data .*nothing: there is no such directory"),
        (
            ["--data", "photos.json"],
            "segvote: --data .*photos.json is a file: give its directory, .* --train-json photos.json",
        ),
        (["--fix", "backbon=resnet50"], r"segvote: --fix backbon: unknown key \(did you mean backbone\?\)"),
        (["--fix", "backbone=resnt50"], r"segvote: unknown backbone 'resnt50' \(did you mean resnet50"),
        (["--grid", "optimzer"], r"segvote: --grid optimzer: unknown key \(did you mean optimizer\?\)"),
        (["--grid", "head=unet,fpm"], r"segvote: unknown head 'fpm' \(did you mean fpn\?\)"),
        (["--choices", "head=unet,fpm"], r"segvote: --choices head: fpm is none .* \(did you mean fpn\?\)"),
        (["--unlabelled", "backgroud"], r"'backgroud' is none of background, ignore \(did you mean background\?\)"),
        (["--group-by", "(["], r"segvote: --group-by '\(\[' is no regular expression: "),
        (["--name", "x" * 101], "segvote: --name has 101 characters: 100 are allowed"),
        (["--seed", str(2**32)], "4294967296 is not in the range"),
        (["--runs-dir", "photos.json"], "segvote: --runs-dir .*photos.json cannot be written to"),
        (["--grid", "--name", "x"], r"segvote: --grid needs a value, but --name follows it: write --grid KEY\[=A,B\]"),
        (["--data", "--name=x"], "segvote: --data needs a value, but --name=x follows it: write --data DIR"),
        (["--grid", "loss", "--trials", "7"], "segvote: --trials does not go with --grid, which trains each"),
        (["--grid", "loss", "--scheduler", "stop"], "segvote: --scheduler does not go with --grid"),
        (
            ["--grid", "loss=ce,focal,ce"],
            r"segvote: --grid loss=ce,focal,ce: points 1 and 3 are the same",
        ),
        (["--tracking-uri", "127.0.0.1:5000"], "127.0.0.1:5000 is no address of a store: .* http://127.0.0.1:5000"),
        (["--tracking-uri", "htp://host:1"], "htp://host:1 is no address of a store: .* http://host:1"),
        (["--tracking-uri", "htp://me:s3cret@host:1"], r"htp://me:\*\*\*@host:1 is no .* http://me:\*\*\*@host:1"),
        (["--tracking-uri", "http://me:***@host:1"], r"http://me:\*\*\*@host:1 was shown without its password"),
        (
            ["--tracking-uri", "mlruns"],
            "mlruns is no address of a store: give a SQLite file, as sqlite:////.*/mlruns/mlf",
        ),
        (
            ["--tracking-uri", "file:///a/b"],
            "is no address of a store: give a SQLite file, as sqlite:////a/b/mlflow.db",
        ),
        (["--tracking-uri", "http://127.0.0.1:1"], "segvote: MLflow's store http://127.0.0.1:1 does not answer"),
        (["--time-budget", "8"], "segvote: --time-budget 8 has no unit: write 8s, 8m, 8h or 8d"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(command, tmp_path, arguments, message):
    (tmp_path / "photos.json").write_text("{}")
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


def test_a_stopped_command_does_not_wait_for_what_libraries_do_when_python_ends(tmp_path):
    (tmp_path / "my_space.py").write_text("raise KeyboardInterrupt\n")
    program = "import atexit, search.cli, time; atexit.register(time.sleep, 9999); search.cli.console_script()"
    command = [sys.executable, "-c", program, "search", "--space", "my_space.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, "segvote: stopped" in ended.stderr) == (130, True)


def test_the_ui_needs_a_store(tmp_path, capsys):
    assert main(["ui", "--runs-dir", str(tmp_path)]) == 2
    assert "there is no" in (said := capsys.readouterr().err)
    assert "run a search first" in said


def test_a_users_packages_of_the_same_names_are_left_alone(tmp_path):
    for name in ("search", "spaces", "trainables", "ensembling"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one')\n")
    command = [sys.executable, str(ROOT / "search" / "run.py"), "--list-spaces"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (ended.returncode, "quickstart" in ended.stdout) == (0, True), ended.stderr


ROOT = Path(__file__).resolve().parents[3]
SLOW = ("torch", "ray", "mlflow", "timm")


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--space", "quickstrat"],
        ["search", "--fix", "backbon=resnet50"],
        ["search", "--fix", "backbone=resnt50"],
        ["search", "--fix", "head=unett"],
        ["search", "--grid", "optimzer"],
        ["search", "--choices", "head=unett"],
        ["search", "--data", "nothing"],
        ["search", "--image-size", "8"],
        ["search", "--resume", "--name", "mine"],
        ["search", "--pseudo", "nothing"],
        ["ensemble", "--studies", "mine"],
        ["predict", "--ensemble", "mine", "--images", ".", "--out", "out"],
        ["predict", "--ensemble", "nothing/ensemble.json", "--images", ".", "--out", "out"],
        ["export", "--ensemble", "mine-0004"],
        ["refit", "--ensemble", "mine"],
        ["refit", "--resume", "--name", "mine"],
        ["pseudo", "--ensemble", "mine", "--images", ".", "--out", "out"],
    ],
)
def test_a_mistyped_name_or_path_is_answered_before_slow_libraries_are_imported(arguments, tmp_path):
    _answered_before_slow_libraries(arguments, tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"images": []}', '{"images": [], "annotations": [], "categories": []}'])
def test_so_is_a_data_set_that_cannot_be_used(content, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.json").write_text(content)
    said = _answered_before_slow_libraries(["search", "--data", "d/train.json", "--space", "cnn_heads"], tmp_path)
    assert "train.json" in said
    assert not (tmp_path / "runs").exists()


def _answered_before_slow_libraries(arguments, directory):
    probe = (
        "import sys\nfrom search.cli import main\ncode = main(sys.argv[1:])\n"
        f"print(code, sorted(set({SLOW}) & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", probe, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == "2 []", run.stderr
    return run.stderr


def test_a_data_file_is_taken_for_its_directory(command, space, tmp_path):
    write(tmp_path / "photos", photos=False, train=coco([image(1, "a.png")], [annotation(1, 1, 1)]))
    code, out, errors = command("--space", space, "--data", "photos/train.json")
    assert "train.json is a file: its directory, " in out
    assert (code, "a.png" in errors) == (2, True)


def test_several_values_follow_one_flag():
    context = search_command.make_context(
        "search", ["--fix", "head=fpn", "lr=.1", "--choices", "loss=ce", "--epochs", "3"]
    )
    assert context.params["fix"] == ("head=fpn", "lr=.1")
    assert context.params["choices"] == ("loss=ce",)


def _every(group, path=()):
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from _every(one, (*path, name))
        else:
            yield (*path, name), one


@pytest.mark.parametrize(("path", "command"), list(_every(commands)), ids=lambda value: getattr(value, "name", None))
def test_every_help_has_an_example_that_its_command_takes(path, command, capsys):
    assert main([*path, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = shlex.split(lines[lines.index("  Example:") + 1])
    assert tuple(words[: len(path) + 1]) == ("segvote", *path)
    command.make_context(path[-1], words[len(path) + 1 :])


def test_a_mistyped_command_or_flag_is_answered_with_the_nearest(capsys):
    assert main(["serach"]) == 2
    assert "Did you mean 'search'?" in capsys.readouterr().err
    assert main(["ensemble", "--max-member", "3"]) == 2
    assert "--max-members" in capsys.readouterr().err
    assert main(["ensemble", "--mode", "greeedy"]) == 2
    assert "(did you mean greedy?)" in capsys.readouterr().err


def test_a_mistyped_format_is_answered_with_the_nearest(capsys):
    assert main(["data", "import", "yollo", "photos", "--out", "out"]) == 2
    assert "unknown format 'yollo' (did you mean yolo?)" in capsys.readouterr().err


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.json")
    assert main(["data", "compare", str(tmp_path / "pipe.json"), str(tmp_path / "pipe.json")]) == 2
    assert "pipe.json: is no regular file; give the path of a COCO file" in capsys.readouterr().err


@pytest.mark.parametrize("body", ["import sys\nsys.exit(3)\n", "def suggest(trial):\n    raise SystemExit(3)\n"])
def test_a_space_that_ends_the_program_is_a_message(command, tmp_path, body):
    (tmp_path / "my_space.py").write_text(body)
    code, _, errors = command("--space", "my_space.py")
    assert (code, "SystemExit: 3" in errors) == (2, True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('    values["loss"] = "dise" if head == "unet" else "ce"', r"where head=unet: unknown loss 'dise'"),
        ('    values["rate"] = 1', r"my_space\.py: unknown key 'rate' in a trial's configuration"),
        (
            '    values["lr"] = trial.suggest_float("lr", -1e-3, 1e-2)',
            r"where lr=-0\.001: `lr` is -0\.001, but",
        ),
        ('    values["lr"] = trial.suggest_loguniform("lr", 1e-3, 1e-2)', r"trial\.suggest_loguniform is not there"),
        (
            '    values["dropout"] = trial.suggest_categorical("drop", [0.1, 2.0])',
            r"where drop=2\.0: `dropout` is 2",
        ),
        (
            '    values["lr"] = trial.suggest_float("rate", 1e-3, 9.0)\n    values["drop_path"] = values["lr"] / 8',
            r"where rate=9\.0: `drop_path` is 1\.125",
        ),
    ],
)
def test_a_space_is_checked_under_each_of_its_conditions(command, tmp_path, body, message):
    head = 'def suggest(trial):\n    head = trial.suggest_categorical("head", ["fpn", "unet"])\n'
    values = '    values = {"head": head, "backbone": "lcnet_050", "pretrained": False}\n'
    (tmp_path / "my_space.py").write_text(f"{head}{values}{body}\n    return values\n")
    code, _, errors = command("--space", "my_space.py")
    assert (code, bool(re.search(message, errors))) == (2, True), errors


def test_a_factor_that_makes_no_difference_is_no_grid(tmp_path):
    (tmp_path / "my_space.py").write_text(
        'def suggest(trial):\n    head = trial.suggest_categorical("head", ["fpn", "unet"])\n'
        '    lr = trial.suggest_float("unet_lr", 1e-4, 1e-2) if head == "unet" else 1e-3\n'
        '    return {"head": head, "backbone": "lcnet_050", "lr": lr}\n'
    )
    where = {"data": "sample", "space": str(tmp_path / "my_space.py"), "runs_dir": tmp_path / "runs"}
    grid = {"grid": ("unet_lr=1e-3,1e-4",)}
    with pytest.raises(UserError, match=r"points 1 and 2 are the same .* then pin that choice with --fix"):
        check_flags(Settings(**where, **grid), {"data", "space"}, Console())
    check_flags(Settings(**where, **grid, fix=("head=unet",)), {"data", "space"}, Console())


def test_a_choice_that_does_not_go_with_what_a_flag_pins_is_told_with_it(command, tmp_path):
    (tmp_path / "my_space.py").write_text(
        'def suggest(trial):\n    warmup = trial.suggest_categorical("warmup", [1.0, 3.0])\n'
        '    return {"head": "fpn", "backbone": "lcnet_050", "warmup_epochs": warmup, "epochs": 9}\n'
    )
    code, _, errors = command("--space", "my_space.py", "--fix", "epochs=2")
    message = "where warmup=3.0 and with epochs=2 pinned: `warmup_epochs` is 3.0"
    assert (code, message in " ".join(errors.split())) == (2, True), errors


def test_what_a_flag_pins_away_is_not_checked(tmp_path):
    """A grid and a pinned head train nothing of the branch that is wrong."""
    (tmp_path / "my_space.py").write_text(
        'def suggest(trial):\n    head = trial.suggest_categorical("head", ["fpn", "unet"])\n'
        '    return {"head": head, "backbone": "lcnet_050", "loss": "dise" if head == "unet" else "ce"}\n'
    )
    where = {"data": "sample", "space": str(tmp_path / "my_space.py"), "runs_dir": tmp_path / "runs"}
    for flags in ({"fix": ("head=fpn",)}, {"choices": ("head=fpn",)}, {"grid": ("lr=1e-3,1e-4",)}):
        check_flags(Settings(**where, **flags), {"data", "space"}, Console())
    with pytest.raises(UserError, match="where head=unet: unknown loss"):
        check_flags(Settings(**where), {"data", "space"}, Console())


def test_a_forgotten_space_is_said_on_ones_own_data(capsys, tmp_path):
    settings = Settings(data=str(tmp_path), runs_dir=tmp_path / "runs")
    check_flags(settings, {"data"}, Console())
    assert "No --space was given: quickstart trains small models" in capsys.readouterr().out
    check_flags(settings, {"data", "space"}, Console())
    check_flags(Settings(data="sample", runs_dir=tmp_path / "runs"), set(), Console())
    assert "No --space was given" not in capsys.readouterr().out
