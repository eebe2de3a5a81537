"""Study: its name, its directory, and what it remembers of how it was made."""

import copy
import dataclasses
import errno
import fcntl
import hashlib
import os
import re
from pathlib import Path

import pytest

from search.study.settings import Settings, resumed
from search.study.study import (
    check_name,
    check_same_data,
    code_version,
    data_root,
    new_study,
    open_study,
    stored_settings,
    study_in,
    study_name,
)
from tests import tiny
from trainables.errors import UserError
from trainables.files import read_json, write_json


def test_a_study_comes_back_from_its_directory(study, settings):
    again = open_study(settings)
    assert (again.directory, again.data) == (study.directory, study.data)
    assert again.data.splits == tiny.SPLITS
    assert again.data.class_names == ("Background", "Paper", "Glass")
    assert again.name == "mine"


def test_the_manifest_says_what_the_study_is_made_of(study, dataset):
    manifest = read_json(study.directory / "study.json")
    assert manifest["settings"]["seed"] == 5
    assert manifest["data"]["fingerprint"] == dataset.fingerprint
    assert manifest["data"]["class_id_of"] == {"1": 1, "2": 2}
    assert manifest["splits"]["holdout"] == [0, 1]
    assert manifest["code_version"] == code_version()


def test_a_study_that_another_command_runs_is_refused(study):
    with (
        study.claimed(resume=True),
        pytest.raises(UserError, match="the study mine is being run by another process"),
        study.claimed(resume=True),
    ):
        pass
    with study.claimed(resume=True):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(study, monkeypatch, number):
    def no_lock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with (
        pytest.raises(
            UserError, match=r"mine is on a file system that locks no files \(.*\).*: mount it with locks, or"
        ),
        study.claimed(resume=True),
    ):
        pass


def test_a_name_that_was_taken_while_the_plan_was_made_is_refused(study):
    with pytest.raises(UserError, match="a study named mine exists"), study.claimed(resume=False):
        pass


def test_studies_of_one_name_have_ids_of_their_own(settings, dataset):
    first, second = (new_study(settings, dataset, tiny.SPLITS) for _ in range(2))
    assert first.id != second.id


def test_nothing_is_on_disk_before_it_is_claimed(settings, dataset):
    new_study(settings, dataset, tiny.SPLITS)
    assert not settings.runs_dir.exists()


def test_what_a_study_ran_with_can_be_taken_up_again(study, settings):
    after = resumed(Settings(resume=True, runs_dir=settings.runs_dir), {"resume"}, stored_settings(settings, "mine"))
    assert (after.seed, after.data) == (5, settings.data)


def test_trials_are_those_that_were_written_down_in_order(study):
    for number in (10000, 9999, 12, 3, 7):
        write_json(study.trial_files(number).suggestion, {})
    study.trial_files(5).directory.mkdir()  # its suggestion was never written
    write_json(study.trials_dir / "0003 (copy)" / "suggestion.json", {})
    assert [files.number for files in study.trials()] == [3, 7, 12, 9999, 10000]
    assert study.trial_files(7).directory == study.directory / "trials" / "0007"


def test_a_holdout_is_named_by_its_images_and_their_order(settings, dataset, study):
    def fingerprint(splits):
        return new_study(settings, dataset, splits).holdout_fingerprint

    other_images = dataclasses.replace(tiny.SPLITS, holdout=(0, 7))
    other_folds = dataclasses.replace(tiny.SPLITS, folds=((2,), (3,)), seed=9)
    assert fingerprint(tiny.SPLITS) == fingerprint(other_folds) == study.holdout_fingerprint
    assert fingerprint(other_images) != study.holdout_fingerprint


def test_a_study_of_before_images_had_fingerprints_names_its_holdout_as_it_did(study):
    old = copy.deepcopy(study.manifest)
    del old["data"]["holdout_fingerprint"]
    write_json(study.directory / "study.json", old)
    as_it_did = hashlib.sha256(f"{study.data.fingerprint} {study.data.splits.holdout}".encode()).hexdigest()
    assert study_in(study.directory, study.data.cache_dir).holdout_fingerprint == as_it_did


def test_the_default_name_is_space_and_time(tmp_path):
    assert re.fullmatch(r"quickstart-\d{8}-\d{6}", study_name(Settings()))
    assert study_name(Settings(space=str(tmp_path / "my_space.py"))).startswith("my_space-")
    assert study_name(Settings(name="mine")) == "mine"


def test_resuming_without_a_name_takes_the_newest_study_of_the_space(tmp_path):
    for age, name in enumerate(["cnn_heads-3", "quickstart-1", "quickstart-2"]):
        write_json(tmp_path / name / "study.json", {"settings": {"space": name.partition("-")[0]}})
        os.utime(tmp_path / name / "study.json", (1000 - age, 1000 - age))
    assert study_name(Settings(space="quickstart", resume=True, runs_dir=tmp_path)) == "quickstart-1"


def test_there_must_be_a_study_to_resume(tmp_path):
    with pytest.raises(UserError, match=r"no study of space swin_heads in .* to resume: name it with --name"):
        study_name(Settings(space="swin_heads", resume=True, runs_dir=tmp_path))


@pytest.mark.parametrize(
    ("name", "resume", "message"),
    [
        ("mine", False, "a study named mine exists in .*: resume it with --resume, or choose another --name"),
        ("other", True, "there is no study other in .* to resume; studies there: mine"),
        ("../mine", False, "--name '../mine': use letters, digits"),
        ("..", False, r"--name '\.\.': use letters, digits"),
        ("", False, "--name '': use letters, digits"),
        ("a b", False, "--name 'a b': use letters, digits"),
    ],
)
@pytest.mark.usefixtures("study")
def test_names_that_cannot_be_used_are_refused(settings, name, resume, message):
    with pytest.raises(UserError, match=message):
        check_name(Settings(resume=resume, runs_dir=settings.runs_dir), name)


@pytest.mark.parametrize(("name", "resume"), [("mine", True), ("other", False), ("my-2.study_v3", False)])
@pytest.mark.usefixtures("study")
def test_names_that_can_be_used_are_taken(settings, name, resume):
    check_name(Settings(resume=resume, runs_dir=settings.runs_dir), name)


def test_a_data_set_that_changed_is_refused(study, dataset):
    check_same_data(study, dataset)
    changed = dataclasses.replace(dataset, fingerprint="f" * 64)
    with pytest.raises(UserError, match=r"the study mine was started with \(their fingerprint is ffffffffffff, that"):
        check_same_data(study, changed)


def test_a_data_set_that_moved_is_found_where_it_is_said_to_be_and_remembered(study, settings, tmp_path):
    moved = study.with_data_in(tmp_path / "new", None)
    with moved.claimed(resume=True):
        pass
    (tmp_path / "new").mkdir()
    assert open_study(settings).data.root == tmp_path / "new"
    assert stored_settings(Settings(runs_dir=settings.runs_dir), "mine")["data"] == str(tmp_path / "new")


def test_flags_that_are_given_again_are_remembered(study, settings):
    """Otherwise the next command that resumes it, and segvote status, would go by the flags of the first."""
    with open_study(dataclasses.replace(settings, trials=7)).claimed(resume=True):
        pass
    assert stored_settings(Settings(runs_dir=settings.runs_dir), "mine")["trials"] == 7


def test_a_data_set_that_was_moved_with_its_study_is_found_beside_it(study, tmp_path):
    place = study.manifest["data"] | {"root": "/nowhere", "relative_root": "../../photos"}
    manifest = study.manifest | {"data": place}
    (tmp_path / "photos").mkdir()
    assert data_root(tmp_path / "runs" / "mine", manifest) == tmp_path / "photos"
    assert data_root(tmp_path / "elsewhere" / "runs" / "mine", manifest) == Path("/nowhere")


def test_the_built_in_data_set_lies_in_the_runs_directory_wherever_that_is(study, tmp_path):
    manifest = study.manifest | {"settings": study.manifest["settings"] | {"data": "sample"}}
    assert data_root(tmp_path / "moved" / "mine", manifest) == tmp_path / "moved" / "sample"


def test_a_manifest_of_another_format_is_refused(study, settings):
    write_json(study.directory / "study.json", {**study.manifest, "format_version": 1})
    with pytest.raises(UserError, match="has format version 1, but this version of SegVote reads 2"):
        open_study(settings)


def test_a_manifest_that_cannot_be_read_is_named(study, settings):
    (study.directory / "study.json").write_text('{"settings": ')
    with pytest.raises(UserError, match=r"study\.json is damaged .*: restore it from a backup"):
        open_study(settings)
