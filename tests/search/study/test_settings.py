"""Settings: paths made absolute, and what a resumed study keeps."""

from pathlib import Path

import pytest

from search.study.place_flags import place_flags
from search.study.settings import FLAGS, RefitSettings, Settings, resumed
from search.tracking.store_file import check_answers
from trainables.errors import UserError


def stored(**changes):
    """What study.json holds of the command that started it, after a way through JSON."""
    settings = Settings(**changes)
    return settings.lasting() | settings.remembered()


def test_relative_paths_are_made_absolute_once(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = Settings(data="photos", runs_dir="runs", cache_dir="~/cache")
    assert settings.data == str(tmp_path / "photos")
    assert settings.runs_dir == tmp_path / "runs"
    assert settings.cache_dir == Path("~/cache").expanduser()


def test_the_built_in_data_set_is_no_path():
    assert Settings(data="sample").data == "sample"


def test_a_weights_directory_must_be_there(tmp_path):
    assert Settings(weights_dir=str(tmp_path)).weights_dir == str(tmp_path)
    with pytest.raises(UserError, match=r"--weights-dir .*/nothing is no directory: give one that holds"):
        Settings(weights_dir=str(tmp_path / "nothing"))


@pytest.mark.parametrize("kind", [Settings, RefitSettings])
def test_what_makes_a_study_and_how_it_is_run_are_told_apart(kind):
    assert not set(kind.made_of) & set(kind.ran_with)
    assert {"data", "pseudo", "pseudo_weight"} <= set(kind.made_of)
    assert not {"resume", "name", "dry_run", "runs_dir", "time_budget"} & {*kind.made_of, *kind.ran_with}


def test_a_search_is_made_of_its_space_and_a_refit_of_its_ensemble():
    assert {"space", "seed", "fix", "grid", "epochs", "folds"} <= set(Settings.made_of)
    assert {"ensemble", "seeds", "keep_holdout"} <= set(RefitSettings.made_of)


def test_what_lasts_is_plain():
    lasting = Settings(fix=("lr=0.1",), epochs=3).lasting()
    assert (lasting["fix"], lasting["epochs"], lasting["data"]) == (["lr=0.1"], 3, None)


def test_a_resumed_study_is_made_of_what_it_was_made_of():
    before = stored(space="cnn_heads", epochs=5, fix=("fold=0", "lr=0.1"), grid=("head",), seed=3, data="sample")
    after = resumed(Settings(resume=True, name="mine"), {"resume", "name"}, before)
    assert after == Settings(
        resume=True,
        name="mine",
        space="cnn_heads",
        epochs=5,
        fix=("fold=0", "lr=0.1"),
        grid=("head",),
        seed=3,
        data="sample",
    )


def test_flags_of_the_run_are_remembered_unless_given_again(tmp_path):
    before = stored(trials=40, concurrency=3, weights_dir=str(tmp_path), tracking_uri="http://localhost:5000")
    after = resumed(Settings(trials=60, resume=True), {"trials", "resume"}, before)
    assert (after.trials, after.concurrency, after.weights_dir) == (60, 3, str(tmp_path))
    assert after.tracking_uri == "http://localhost:5000"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "cnn_heads"}, "--space cnn_heads does not fit the study, which was started with quickstart"),
        ({"epochs": 5}, "--epochs 5 does not fit the study, which was started with 9"),
        ({"seed": 1}, "--seed 1 does not fit the study, which was started with 0"),
        ({"fix": ("lr=0.2",)}, "--fix lr=0.2 does not fit the study, which was started with lr=0.1: leave"),
        ({"choices": ("lr=1e-4,1e-3", "head=fpn")}, "--choices lr=1e-4,1e-3 head=fpn does not .* started without it"),
        ({"all_folds": True, "grid": ("loss",)}, "--grid loss does not fit the study, which was started without it"),
        ({"pretrained": False}, "--no-pretrained does not fit the study, which was started without it"),
        ({"image_size": "64"}, "--image-size 64 does not fit the study, which was started without it"),
        ({"holdout_fraction": 0.5}, "--holdout-fraction 0.5 does not fit .*leave the flag out .*another --name"),
    ],
)
def test_a_flag_that_contradicts_the_study_is_refused_by_name(changes, message):
    with pytest.raises(UserError, match=message):
        resumed(Settings(resume=True, **changes), set(changes), stored(epochs=9, fix=("lr=0.1",)))


def test_a_flag_that_repeats_the_study_is_fine():
    before = stored(epochs=9, fix=("lr=0.1",))
    after = resumed(Settings(epochs=9, fix=("lr=0.1",), resume=True), {"epochs", "fix", "resume"}, before)
    assert after.epochs == 9


def test_flags_are_named_as_they_are_typed():
    assert FLAGS["image_size"] == "--image-size"


def test_initial_weights_must_be_a_file_and_are_part_of_the_study(tmp_path):
    file = tmp_path / "swin.pth"
    file.touch()
    before = stored(init_from=str(file), init_partial=True)
    after = resumed(Settings(resume=True), {"resume"}, before)
    assert (after.init_from, after.init_partial) == (str(file), True)
    with pytest.raises(UserError, match=r"--init-from .*other\.pth is no file: give the checkpoint"):
        Settings(init_from=str(tmp_path / "other.pth"))
    with pytest.raises(UserError, match="--init-from and --no-pretrained contradict each other"):
        Settings(init_from=str(file), pretrained=False)


def test_a_study_of_before_a_flag_existed_has_its_default():
    before = stored(epochs=9)
    del before["init_from"]
    assert resumed(Settings(resume=True), {"resume"}, before).init_from is None


def test_pseudo_labels_are_part_of_the_study(tmp_path):
    before = stored(pseudo=str(tmp_path / "P"), pseudo_weight=0.25)
    after = resumed(Settings(resume=True), {"resume"}, before)
    assert (after.pseudo, after.pseudo_weight) == (str(tmp_path / "P"), 0.25)
    with pytest.raises(UserError, match=r"--pseudo-weight 0\.5 does not fit the study, .* started with 0\.25"):
        resumed(Settings(resume=True, pseudo_weight=0.5), {"pseudo_weight"}, before)


def test_a_resumed_study_finds_its_data_where_it_is_said_to_be_now(tmp_path):
    before = stored(data=str(tmp_path / "D"), pseudo=str(tmp_path / "P"))
    moved = Settings(resume=True, data=str(tmp_path / "E"), pseudo=str(tmp_path / "Q"))
    after = resumed(moved, {"data", "pseudo"}, before)
    assert (after.data, after.pseudo) == (moved.data, moved.pseudo)
    assert resumed(moved, {"pseudo"}, before).data == str(tmp_path / "D")


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_of_pseudo_labels_is_above_zero(weight):
    with pytest.raises(UserError, match=r"--pseudo-weight is .*, but must be above 0 and finite"):
        Settings(pseudo_weight=weight)


@pytest.mark.parametrize(
    ("uri", "kept"),
    [
        ("http://ann:s3cret@host:5000/a", "http://ann:***@host:5000/a"),
        ("postgresql+psycopg2://ann:s3:c@ret@host/db", "postgresql+psycopg2://ann:***@host/db"),
        ("https://host/a:b@c", "https://host/a:b@c"),
        ("sqlite:////runs/a:b@c/mlflow.db", "sqlite:////runs/a:b@c/mlflow.db"),
        (None, None),
    ],
)
def test_the_password_of_the_store_is_not_kept(uri, kept):
    settings = Settings(tracking_uri=uri)
    assert settings.remembered()["tracking_uri"] == kept
    if kept == uri:
        assert resumed(Settings(), set(), stored(tracking_uri=uri)).tracking_uri == uri
        return
    with pytest.raises(UserError, match=r"the password of .*:\*\*\*@.* is not kept: give the whole --track"):
        resumed(Settings(), set(), stored(tracking_uri=uri))
    assert resumed(settings, {"tracking_uri"}, stored(tracking_uri=uri)).tracking_uri == uri


def test_the_password_of_the_store_is_not_shown():
    uri = "http://ann:s3cret@127.0.0.1:9"
    with pytest.raises(UserError, match=r"store http://ann:\*\*\*@127.0.0.1:9 does not answer"):
        check_answers(uri)
    assert place_flags(Path("runs").resolve(), uri) == ["--tracking-uri", "http://ann:***@127.0.0.1:9"]
