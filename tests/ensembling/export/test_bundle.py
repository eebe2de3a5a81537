"""An exported ensemble stands alone, and as a model of MLflow it answers as its members and their vote do."""

import base64
import json
import shutil

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from ensembling import hard_vote
from ensembling.export import served_model
from ensembling.export.bundle import check_members, model_parts, write_ensemble
from ensembling.predict.prediction import make_predictor
from ensembling.runs.members import open_ensemble
from tests import tiny
from tests.ensembling.made_ensemble import make_study
from trainables.data.photo_list import list_photos
from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation

pytestmark = pytest.mark.usefixtures("one_thread")
VIEWS = TestTimeAugmentation((0.5, 1.0), flip=True)


def opened(path):
    return open_ensemble(str(path), path / "nothing", None)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Its members carry places of the machine that trained them, and were selected with views."""
    file = make_study(tmp_path_factory.mktemp("runs"), votes=(1, 2, 1))
    config = file.parent / "trials" / "0001" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"weights_dir": "/home/me/weights"}))
    content = json.loads(file.read_text()) | {"views": VIEWS.to_dict()}
    content["members"][1]["params"]["weights_dir"] = "/home/me/weights"
    file.write_text(json.dumps(content))
    return file


@pytest.fixture(scope="module")
def exported(original, tmp_path_factory):
    directory = tmp_path_factory.mktemp("kept") / "night"
    write_ensemble(opened(original), directory)
    return directory


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return list_photos(tiny.write_data(tmp_path_factory.mktemp("photos"))).photos[:3]


@pytest.fixture(scope="module")
def expected(original, photos):
    """By hand: each member's class maps of the files, and their vote."""
    ensemble = opened(original)
    maps = zip(*(make_predictor(member, ensemble, VIEWS).class_maps(photos) for member in ensemble.members))
    return [hard_vote(np.stack(one), 3, (1, 2, 1)) for one in maps]


@pytest.fixture(scope="module")
def saved(exported, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    signs = shutil.copytree(exported, tmp_path_factory.mktemp("signs") / "feature%2Flitter #1" / "50% [x]? %2F")
    with model_parts(signs) as parts:
        mlflow.pyfunc.save_model(path, **parts)
    return path


@pytest.fixture(scope="module")
def model(saved):
    return mlflow.pyfunc.load_model(str(saved))


def test_an_exported_ensemble_needs_no_other_file(original, exported, tmp_path):
    moved = shutil.copytree(exported, tmp_path / "elsewhere")
    found, before = opened(moved), opened(original)
    assert sorted(str(path.relative_to(moved)) for path in moved.rglob("*") if path.is_file()) == [
        "ensemble.json",
        *(f"members/0{place}/{file}" for place in (1, 2, 3) for file in ("best.safetensors", "config.json")),
    ]
    for one, other in zip(found.members, before.members, strict=True):
        assert one.weights.is_relative_to(moved)
        assert one.weights.read_bytes() == other.weights.read_bytes()
        assert (one.name, one.run_id, one.votes, one.config.head) == (
            other.name,
            other.run_id,
            other.votes,
            other.config.head,
        )
    assert found.views == VIEWS


def test_nothing_names_a_file_of_the_machine_that_trained(exported):
    for path in exported.rglob("*.json"):
        assert "/home" not in path.read_text()


def test_a_trial_alone_is_exported_from_its_directory(original, tmp_path):
    study = shutil.copytree(original.parent, tmp_path / "runs" / "night")
    data = {"class_names": ["Background", "Paper", "Glass"], "class_id_of": {"7": 2, "4": 1}}
    (study / "study.json").write_text(json.dumps({"data": data, "settings": {"unlabelled": "background"}}))
    trial = opened(study / "trials" / "0002")
    write_ensemble(trial, tmp_path / "alone")
    found = opened(tmp_path / "alone")
    (member,) = found.members
    assert member.weights.read_bytes() == (study / "trials" / "0002" / "best.safetensors").read_bytes()
    assert (member.name, member.config.head) == ("night-0002", trial.members[0].config.head)
    assert (found.class_names, found.category_ids) == (("Background", "Paper", "Glass"), {"Paper": 4, "Glass": 7})


def test_a_directory_that_is_there_is_kept(original, exported):
    before = (exported / "ensemble.json").stat()
    with pytest.raises(UserError, match=r"night exists already: choose another --out"):
        write_ensemble(opened(original), exported)
    assert (exported / "ensemble.json").stat() == before
    assert [path.name for path in exported.parent.iterdir()] == ["night"]


def test_an_export_that_breaks_off_leaves_nothing(original, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_ensemble(opened(original), tmp_path / "night")
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_class_count_are_named(original, tmp_path):
    study = shutil.copytree(original.parent, tmp_path / "night")
    content = json.loads(original.read_text()) | {"class_names": ["Background", "Paper"]}
    (study / "ensemble.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"member night-0000 cannot be exported: .* with 2 classes: size mismatch"):
        check_members(opened(study))
    check_members(opened(original))


def test_the_model_answers_files_as_predict_does(model, photos, expected):
    paths = [str(photo.path) for photo in photos]
    for asked in (paths, pd.DataFrame({"path": paths})):
        found = model.predict(asked)
        assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    assert len(np.unique(np.stack(expected))) > 1, "a constant map would prove nothing"


def test_the_model_answers_images_in_memory(model, photos, expected):
    pixels = [np.asarray(Image.open(photo.path).convert("RGB")) for photo in photos]
    found = model.predict(np.stack(pixels))
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.stack(expected))
    assert np.array_equal(model.predict(pixels[0]), expected[0])
    assert [one.shape for one in model.predict([pixels[0], pixels[1][:20]])] == [(48, 64), (20, 64)]


def test_what_is_no_image_is_refused_in_one_line(model):
    with pytest.raises(MlflowException, match=r"an image has the shape \(2,\)") as refused:
        model.predict([[1, 2]])
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_photo_that_cannot_be_read_is_said_by_its_place_in_the_request(model, photos):
    cut = [base64.b64encode(content).decode() for content in (photos[0].path.read_bytes()[:200], b"no photo")]
    with pytest.raises(MlflowException, match=r"^image-1 is truncated or damaged \(.*\): restore it or leave it out"):
        model.predict({"image": cut[:1]})
    with pytest.raises(MlflowException, match=r"^image-1 is no image of a known kind"):
        model.predict({"image": cut[1:]})


@pytest.mark.parametrize(("keep", "most"), [("0", 1), ("1", 3)])
def test_one_model_is_in_memory_unless_told_otherwise(saved, photos, monkeypatch, keep, most):
    monkeypatch.setenv(served_model.KEEP_LOADED, keep)
    inner = mlflow.pyfunc.load_model(str(saved)).unwrap_python_model()
    assert len(inner._predictors) == 0, "models are loaded when they are needed"
    inner.predict(None, str(photos[0].path))
    assert len(inner._predictors) == most


def test_the_model_holds_no_pickle_and_asks_for_this_package(saved):
    names = {path.name for path in saved.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt"))]
    assert {"served_model.py", "best.safetensors", "MLmodel", "requirements.txt"} <= names
    requirements = (saved / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in requirements] == ["segvote", "mlflow"]
