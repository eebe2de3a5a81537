"""`segvote predict` as it is typed, on members that are there already."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn.metrics import jaccard_score

from ensembling import hard_vote
from ensembling.predict.prediction import Prediction
from ensembling.predict.submission import SubmissionFile
from ensembling.runs.members import open_ensemble
from search.cli import main
from search.commands.predict.command import PredictOptions, _fault_in_predicting
from search.commands.predict.score_test_photos import PANEL, score_and_draw
from search.study.study import FORMAT_VERSION
from tests import tiny
from tests.ensembling.made_ensemble import make_study
from trainables.data import load_dataset
from trainables.data.photo_list import as_photos, list_photos
from trainables.inference.tta import TestTimeAugmentation

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("predict")
    tiny.write_data(directory / "data")
    make_study(directory / "runs")
    return directory


def predict(place, out, *flags, images="data", ensemble="runs/night/ensemble.json"):
    typed = ["--ensemble", str(place / ensemble), "--images", str(place / images), "--out", str(place / out)]
    return main(["predict", *typed, "--runs-dir", str(place / "runs"), *flags])


def test_the_vote_is_that_of_the_members_own_submissions(place, capsys):
    assert predict(place, "out", "--each", "--write", "csv", "maps") == 0
    own = [SubmissionFile(path / "submission.csv") for path in sorted((place / "out" / "each").iterdir())]
    assert len(own) == 3
    voted = SubmissionFile(place / "out" / "submission.csv")
    assert voted.image_ids == tuple(f"{number}.png" for number in range(1, 9))
    for image_id in voted.image_ids:
        assert np.array_equal(voted.ids(image_id), hard_vote(np.stack([file.ids(image_id) for file in own]), 3))
    assert Image.open(place / "out" / "maps" / "1.png").size == (tiny.WIDTH, tiny.HEIGHT)
    said = capsys.readouterr().out
    assert "8 photos, 3 members, one view each" in said
    assert "all runs: 24 of 24" in said


def test_a_second_time_nothing_is_predicted_again(place, monkeypatch):
    assert predict(place, "twice", "--write", "csv") == 0
    first = (place / "twice" / "submission.csv").read_bytes()
    monkeypatch.setattr("ensembling.predict.prediction.make_predictor", None)
    assert predict(place, "twice", "--write", "csv", "coco") == 0
    assert (place / "twice" / "submission.csv").read_bytes() == first
    assert (place / "twice" / "results.json").exists()


def test_other_views_than_the_selections_are_said(place, capsys):
    assert predict(place, "flipped", "--tta", "flip", "--write", "csv") == 0
    assert "The ensemble was selected with one view" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": "nowhere"}, "there is no such directory or file"),
        ({"ensemble": "runs/day/ensemble.json"}, "there is no such file"),
        ({"flags": ["--ensemble", "nightly"]}, "is no study or trial in --runs-dir"),
        ({"flags": ["--ensemble", "ab" * 16]}, "mlflow.db: run a search first"),
        ({"flags": ["--tta", "upside-down"]}, "--tta upside-down: say scales="),
        ({"flags": ["--window", "--overlap", "1.5"]}, "--overlap 1.5 is not from"),
    ],
)
def test_mistakes_end_with_one_line(place, capsys, change, said):
    flags = change.pop("flags", [])
    assert predict(place, "wrong", *flags, **change) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (place / "wrong").exists()


def test_a_photo_that_is_none_is_named(place, capsys):
    (place / "broken").mkdir()
    (place / "broken" / "cat.jpg").write_text("no image")
    assert predict(place, "wrong", images="broken") == 2
    assert "cat.jpg" in capsys.readouterr().err


def test_what_is_written_among_the_photos_is_refused(place, capsys):
    assert predict(place, "data/out") == 2
    assert "lies in --images" in capsys.readouterr().err
    assert not (place / "data" / "out").exists()


@pytest.mark.parametrize("name", ["submission.csv", "maps/1.png"])
def test_a_users_own_files_are_not_replaced(place, capsys, name):
    out = place / f"own-{name[:4]}"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("my own")
    (out / "notes.txt").write_text("beside it")
    assert predict(place, out.name) == 2
    assert f"holds {name.partition('/')[0]}, of no prediction of SegVote's" in capsys.readouterr().err
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == sorted([Path(name).name, "notes.txt"])
    (out / name).rename(out / "elsewhere")
    if (out / "maps").exists():
        (out / "maps").rmdir()
    assert predict(place, out.name) == 0
    assert (out / "notes.txt").read_text() == "beside it"


def test_a_file_in_the_place_of_the_directory_is_named(place, capsys):
    (place / "file").write_text("my own")
    assert predict(place, "file") == 2
    error = capsys.readouterr().err
    assert f"segvote: {place / 'file'} cannot be used (File exists): check that path" in error
    assert (place / "file").read_text() == "my own"


@pytest.mark.usefixtures("known_data")
def test_copies_of_photos_that_members_know_are_no_test(place, capsys):
    """A score on photos that were trained on is too high, wherever their copies lie and whatever they are called."""
    shutil.copytree(place / "data", place / "copy")
    content = json.loads((place / "copy" / "train.json").read_text())
    known, other = content["images"][:2]
    file = next((place / "copy").rglob(Path(other["file_name"]).name))
    with Image.open(file) as photo:
        changed = photo.convert("RGB").point(lambda tone: 255 - tone)
    changed.save(file)
    content |= {"images": [known, other]}
    (place / "copy" / "some.json").write_text(json.dumps(content))
    assert predict(place, "copied", "--write", "csv", images="copy/some.json") == 0
    assert "trained or selected on 1 of these photos, so this score does not hold" in capsys.readouterr().out
    assert "seen/miou" in json.loads((place / "copied" / "scores.json").read_text())


def test_labels_that_are_there_are_scored_against(place, capsys):
    data = load_dataset(place / "data")
    assert predict(place, "scored", "--write", "csv", images="data/train.json") == 0
    scores = json.loads((place / "scored" / "scores.json").read_text())
    ensemble = open_ensemble(str(place / "runs" / "night"), place / "runs", None)
    prediction = Prediction(place / "scored", ensemble, as_photos(data.images), TestTimeAugmentation())
    target = np.concatenate([data.mask(row).reshape(-1) for row in range(len(data.images))])
    ballots = [(maps, winners) for _, maps, winners in prediction.ballots()]
    for found, rows in (
        (scores["test/miou"], [winners for _, winners in ballots]),
        (scores["members"][1]["test/miou"], [maps[1] for maps, _ in ballots]),
    ):
        iou = jaccard_score(target, np.concatenate([row.reshape(-1) for row in rows]), average=None)
        assert found == pytest.approx(iou.mean())
    said = capsys.readouterr().out
    error = scores["interval"]["standard_error"]
    assert f"test      mIoU {scores['test/miou']:.4f} ± {error:.4f} on 8 labelled photos" in said
    assert "its selection expected 0.4000" in said
    assert "problems" not in said
    assert scores["gain"]["value"] == pytest.approx(scores["test/miou"] - scores["members"][0]["test/miou"])
    assert f"gain      {100 * scores['gain']['value']:+.2f} ± " in said


def test_the_photos_that_the_vote_changed_most_are_drawn(place, capsys):
    options = PredictOptions(
        reference=str(place / "runs" / "night"),
        images=str(place / "data" / "train.json"),
        out=place / "drawn",
        runs_dir=place / "runs",
    )
    score_and_draw(options, Console())
    with Image.open(place / "drawn" / "vote.png") as drawn:
        assert drawn.width == 4 * PANEL
    assert json.loads((place / "drawn" / "scores.json").read_text())["photos"] == 8
    assert "photo, labels, best run, vote" in capsys.readouterr().out


@pytest.fixture
def known_data(place):
    """The study's own file, by which the data set is found that its members were trained on."""
    splits = {"holdout": [], "folds": [], "test": [], "seed": 0}
    data = {"root": str(place / "data"), "fingerprint": "f", "class_names": ["Background", "Paper", "Glass"]}
    study = {"format_version": FORMAT_VERSION, "id": "a", "code_version": "1", "data": data, "splits": splits}
    study["settings"] = {"unlabelled": "background"}
    (place / "runs" / "night" / "study.json").write_text(json.dumps(study))
    yield
    (place / "runs" / "night" / "study.json").unlink()


@pytest.mark.usefixtures("known_data")
def test_a_score_on_photos_that_were_trained_on_is_no_test(place, capsys):
    assert predict(place, "seen", "--write", "csv", images="data/train.json") == 0
    said = capsys.readouterr().out
    assert "seen      mIoU " in said
    assert "trained or selected on these photos" in said
    assert "expected" not in said
    assert "seen/miou" in json.loads((place / "seen" / "scores.json").read_text())


def test_labels_of_one_class_alone_are_not_scored(place, capsys):
    """Photos whose labels cover all of them with one class."""
    content = json.loads((place / "data" / "train.json").read_text())
    whole = [[0, 0, tiny.WIDTH, 0, tiny.WIDTH, tiny.HEIGHT, 0, tiny.HEIGHT]]
    for one in content["annotations"]:
        one |= {"segmentation": whole, "category_id": 1}
    (place / "data" / "covered.json").write_text(json.dumps(content))
    assert predict(place, "covered", "--write", "csv", images="data/covered.json") == 0
    assert "the labelled photos cannot be scored: every labelled pixel is" in capsys.readouterr().out
    assert not (place / "covered" / "scores.json").exists()


def test_labels_of_which_none_can_be_used_are_not_scored(place, capsys):
    content = json.loads((place / "data" / "train.json").read_text())
    for one in content["annotations"]:
        one["segmentation"] = []
    (place / "data" / "boxes.json").write_text(json.dumps(content))
    assert predict(place, "boxes", "--write", "csv", images="data/boxes.json") == 0
    assert "none of the 16 annotations of" in capsys.readouterr().out
    assert not (place / "boxes" / "scores.json").exists()


def test_what_is_left_out_of_a_folder_is_said(place, capsys):
    folder = place / "mixed"
    folder.mkdir()
    (folder / "1.png").write_bytes((place / "data" / "1.png").read_bytes())
    (folder / "2.avif").touch()
    assert predict(place, "mixed-out", "--write", "csv", images="mixed") == 0
    assert "left out of" in (said := capsys.readouterr().out)
    assert "1 .avif (2.avif)" in said


def test_labels_of_other_categories_are_not_scored(place, capsys):
    content = json.loads((place / "data" / "train.json").read_text())
    del content["annotations"][0]["segmentation"]
    (place / "data" / "broken.json").write_text(json.dumps(content))
    assert predict(place, "unscored", "--write", "csv", images="data/broken.json") == 0
    assert "1 problems with the labels of" in capsys.readouterr().out
    content["categories"][0]["name"] = "Cardboard"
    (place / "data" / "other.json").write_text(json.dumps(content))
    assert predict(place, "other", "--write", "csv", images="data/other.json") == 0
    assert "labels of other categories than the ensemble's (Cardboard): nothing is scored" in capsys.readouterr().out
    assert not (place / "other" / "scores.json").exists()


def test_on_a_cluster_a_damaged_photo_is_told_and_not_raised(place):
    photo = place / "cut" / "photo.jpg"
    photo.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).save(photo)
    photo.write_bytes(photo.read_bytes()[:-1500])
    ensemble = open_ensemble(str(place / "runs" / "night"), place / "runs", None)
    prediction = Prediction(place / "cut-out", ensemble, list_photos(photo.parent).photos, TestTimeAugmentation())
    assert "photo.jpg is truncated" in _fault_in_predicting(prediction, 0)
