"""An ensemble is found again with all its files, or it is said which is gone."""

import json
import shutil
from contextlib import suppress

import pytest

from ensembling.runs.members import described_data, open_ensemble
from tests.ensembling.made_ensemble import CLASS_NAMES, make_study
from trainables.data.batches.packed import file_sha256
from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation


@pytest.fixture
def file(tmp_path):
    return make_study(tmp_path / "runs", votes=(1, 2, 1))


def no_mlflow():
    raise AssertionError("a file needs no MLflow")


def opened(reference, runs="elsewhere"):
    return open_ensemble(str(reference), runs, no_mlflow)


def change(file, **changes):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes))


def test_a_file_or_its_directory(file):
    for reference in (file, file.parent):
        ensemble = opened(reference)
        assert [member.config.head for member in ensemble.members] == ["segformer", "fpn", "unet"]
        assert ensemble.votes == (1, 2, 1)
        assert ensemble.class_names == CLASS_NAMES
        assert ensemble.views == TestTimeAugmentation()


def test_the_views_of_its_selection(file):
    change(file, views=TestTimeAugmentation((0.5, 1.0), flip=True).to_dict())
    assert opened(file).views == TestTimeAugmentation((0.5, 1.0), flip=True)


def test_studies_are_found_in_the_runs_directory(file, tmp_path):
    moved = tmp_path / "mail" / "ensemble.json"
    moved.parent.mkdir()
    shutil.move(file, moved)
    assert len(opened(moved, runs=tmp_path / "runs").members) == 3
    with pytest.raises(UserError, match=r"night-0000 of .* cannot vote: there is no directory night/trials/0000"):
        opened(moved, runs=tmp_path / "mail")


def with_ids(file, identity):
    """A study with this id, and an ensemble.json that names it."""
    (file.parent / "study.json").write_text(json.dumps({"id": identity}))
    members = json.loads(file.read_text())["members"]
    change(file, members=[{**member, "study_id": identity} for member in members])


def test_a_study_that_was_renamed_is_known_by_its_id(file, tmp_path):
    with_ids(file, "the first")
    moved = tmp_path / "ensemble.json"
    shutil.copy(file, moved)
    file.parent.rename(tmp_path / "runs" / "last")
    other = make_study(tmp_path / "runs", heads=("fpn", "fpn", "fpn"))  # another by the name that it had
    with_ids(other, "the second")
    for reference in (moved, tmp_path / "runs" / "last"):
        members = opened(reference, runs=tmp_path / "runs").members
        assert {member.weights.parents[2] for member in members} == {tmp_path / "runs" / "last"}


def test_a_renamed_study_whose_members_have_no_ids_is_found_by_its_own_ensemble(file, tmp_path):
    file.parent.rename(tmp_path / "runs" / "last")
    assert len(opened(tmp_path / "runs" / "last").members) == 3


def test_a_trial_votes_alone(file, tmp_path):
    trial = file.parent / "trials" / "0001"
    with pytest.raises(UserError, match=r"0001 lies in no study, whose study\.json would name its classes"):
        opened(trial)
    data = {"class_names": list(CLASS_NAMES), "class_id_of": {"0": 1, "7": 2}}
    (file.parent / "study.json").write_text(json.dumps({"data": data, "settings": {"unlabelled": "background"}}))
    alone = opened(trial)
    assert (alone.name, alone.class_names, alone.votes) == ("night-0001", CLASS_NAMES, (1,))
    assert alone.members[0].weights == trial / "best.safetensors"


def test_an_exported_ensemble_has_its_members_beside_it(file, tmp_path):
    exported = tmp_path / "exported"
    exported.mkdir()
    shutil.copy(file, exported)
    for number in range(3):
        shutil.copytree(file.parent / "trials" / f"{number:04d}", exported / "members" / f"{number + 1:02d}")
    assert opened(exported).members[2].weights == exported / "members" / "03" / "best.safetensors"


def test_a_member_without_weights_is_named(file):
    (file.parent / "trials" / "0001" / "best.safetensors").unlink()
    with pytest.raises(UserError, match=r"member night-0001 .* cannot vote: .*best\.safetensors is not there"):
        opened(file)


def test_a_directory_that_another_trial_took_is_named(file):
    path = file.parent / "trials" / "0002" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lr": 0.5}))
    with pytest.raises(UserError, match=r"night-0002 of .* is gone: .*its lr is 0\.5, not 0\.003"):
        opened(file)


def test_weights_that_lay_elsewhere_do_not_make_another_trial(file):
    path = file.parent / "trials" / "0002" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_dir": "/mnt/weights"}))
    assert len(opened(file).members) == 3


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"members": 3, "class_names": []}', '{"members": [{}]}'])
def test_what_is_no_ensemble_is_refused(tmp_path, content):
    (tmp_path / "ensemble.json").write_text(content)
    with pytest.raises(UserError, match=r"ensemble\.json is damaged \(.*\): restore it, or select again"):
        opened(tmp_path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.99])
def test_an_ensemble_that_was_cut_off_is_named(file, share):
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(UserError, match=r"ensemble\.json is damaged"):
        opened(file)


@pytest.mark.parametrize("value", [None, 7, "text", [1], {"a": 1}])
@pytest.mark.parametrize("key", ["class_names", "views", "category_ids", "unlabelled"])
def test_a_value_of_another_type_is_a_message(file, key, value):
    change(file, **{key: value})
    with suppress(UserError):  # some are what the key may hold
        opened(file)


@pytest.mark.parametrize("value", [None, 7, "text", [1], {"a": 1}])
@pytest.mark.parametrize("key", ["run_id", "study", "trial", "name", "votes", "miou", "params", "weights_sha256"])
def test_a_members_value_of_another_type_is_a_message(file, key, value):
    members = json.loads(file.read_text())["members"]
    change(file, members=[{**members[0], key: value}, *members[1:]])
    with suppress(UserError):
        opened(file)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        opened(tmp_path / "ensemble.json")


def test_weights_that_were_trained_on_since_are_named(file):
    content = json.loads(file.read_text())
    weights = file.parent / "trials" / "0001" / "best.safetensors"
    content["members"][1]["weights_sha256"] = file_sha256(weights)
    file.write_text(json.dumps(content))
    assert opened(file).members[1].weights_sha256 == file_sha256(weights)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UserError, match=r"night-0001 of .* was trained on or replaced since it was selected"):
        opened(file)


def test_what_a_study_says_of_its_data(tmp_path):
    data = {"class_names": ["Background", "Paper", "Glass"], "class_id_of": {"0": 1, "7": 2}}
    (tmp_path / "study.json").write_text(json.dumps({"data": data, "settings": {"unlabelled": "background"}}))
    described = described_data(tmp_path)
    assert described["category_ids"] == {"Paper": 0, "Glass": 7}
    assert (described["class_names"], described["unlabelled"]) == (("Background", "Paper", "Glass"), "background")
    assert described_data(tmp_path / "gone") == {}
