"""`segvote foresee` as it is typed, on members whose class maps of the holdout are there."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ensembling import Predictions, hard_vote, read_predictions, write_predictions
from ensembling.runs.members import open_ensemble
from ensembling.scores import confusion_matrix, miou
from search.cli import main
from tests import tiny
from tests.ensembling.made_ensemble import CLASS_NAMES, make_study
from trainables.data.photo_list import list_photos
from trainables.errors import UserError
from trainables.inference.predictor import Predictor

pytestmark = pytest.mark.usefixtures("one_thread")


def set_crossfit(file, value):
    file.write_text(json.dumps(json.loads(file.read_text()) | {"crossfit_miou": value}))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A study whose holdout are the photos of data/: the labels are the vote, with noise."""
    directory = tmp_path_factory.mktemp("foresee")
    tiny.write_data(directory / "data")
    file = make_study(directory / "runs")
    set_crossfit(file, None)
    photos = list_photos(directory / "data").photos
    maps = []
    for member in open_ensemble(str(file), directory / "runs", None).members:
        predictor = Predictor(member.config, member.weights, num_classes=3)
        maps.append(np.concatenate([one.reshape(-1) for one in predictor.class_maps(photos)]))
        write_predictions(member.weights.parent / "holdout.predictions", as_holdout(photos, maps[-1]))
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(maps[0].size) < 0.7, hard_vote(np.stack(maps), 3), rng.integers(0, 3, maps[0].size))
    write_predictions(directory / "runs" / "night" / "holdout.target", as_holdout(photos, labels.astype(np.uint8)))
    return directory


def as_holdout(photos, pixels):
    return Predictions(
        tuple(one.file_name for one in photos), tuple(one.size for one in photos), CLASS_NAMES, "h", pixels
    )


def foresee(place, *flags, ensemble="night"):
    return main(["foresee", "--ensemble", ensemble, "--runs-dir", str(place / "runs"), *map(str, flags)])


def test_on_the_holdouts_own_photos_nothing_changes(place, capsys):
    assert foresee(place, "--images", place / "data", "--out", place / "same") == 0
    found = json.loads((place / "same" / "foresee.json").read_text())
    said = capsys.readouterr().out
    assert found["photos"] == 8
    assert found["vote"]["expected"] == pytest.approx(found["vote"]["holdout"], abs=1e-6)
    assert f"Expect an mIoU of {found['vote']['expected']:.3f} on these photos" in said
    assert "The estimate rests on 3 runs" in said
    for photo in found["least_like_the_holdout"]:
        assert (f"unlike    {photo['photo']}: " in said) == (photo["support"] < found["holdout_support"])
    assert [one["name"] for one in found["runs"]] == ["night-0000", "night-0001", "night-0002"]
    assert found["iou"]["Paper"]["share"][0] == found["iou"]["Paper"]["share"][1]
    assert Image.open(place / "same" / "least_like_the_holdout.png").width >= 3 * 256


def test_the_scores_on_the_holdout_are_those_of_the_labels(place):
    assert foresee(place, "--images", place / "data", "--out", place / "same") == 0
    found = json.loads((place / "same" / "foresee.json").read_text())
    ensemble = open_ensemble(str(place / "runs" / "night"), place / "runs", None)
    read = [member.weights.parent / "holdout.predictions" for member in ensemble.members]
    rows = np.stack([read_predictions(path).pixels for path in read])
    target = read_predictions(place / "runs" / "night" / "holdout.target").pixels
    for own, row in zip([*found["runs"], found["vote"]], [*rows, hard_vote(rows, 3)], strict=True):
        assert own["holdout"] == pytest.approx(miou(confusion_matrix(row, target, 3)))


def test_a_crossfitted_score_is_the_votes(place):
    file = place / "runs" / "night" / "ensemble.json"
    set_crossfit(file, 0.4321)
    assert foresee(place, "--images", place / "data", "--out", place / "same") == 0
    set_crossfit(file, None)
    assert json.loads((place / "same" / "foresee.json").read_text())["vote"]["holdout"] == 0.4321


def test_without_out_each_vote_and_source_of_photos_has_a_place_of_its_own(place):
    """Of the same runs another vote, other photos in a directory of the same name, and the first command again."""
    file = place / "runs" / "night" / "ensemble.json"
    before, kept = file.read_text(), place / "runs" / "foreseen"
    found = {}
    assert foresee(place, "--images", place / "data") == 0
    found["first"] = set(kept.iterdir())
    (only,) = found["first"]
    assert only.name.startswith("data-night-")
    first = (only / "foresee.json").read_bytes()
    whole = json.loads(before)
    whole["members"][0]["votes"] = 3
    file.write_text(json.dumps(whole))
    assert foresee(place, "--images", place / "data") == 0
    file.write_text(before)
    found["another vote"] = set(kept.iterdir())
    shutil.copytree(place / "data", place / "copy" / "data")
    assert foresee(place, "--images", place / "copy" / "data") == 0
    found["other photos"] = set(kept.iterdir())
    assert foresee(place, "--images", place / "data") == 0
    found["again"] = set(kept.iterdir())
    assert {what: len(places) for what, places in found.items()} == {
        "first": 1,
        "another vote": 2,
        "other photos": 3,
        "again": 3,
    }
    assert all((one / "foresee.json").is_file() for one in found["again"])
    assert (only / "foresee.json").read_bytes() == first


def test_a_directory_is_of_one_vote(place, capsys):
    """Another vote of the same runs, and one of fewer of them, would replace what is there."""
    file, out = place / "runs" / "night" / "ensemble.json", place / "one-vote"
    before = file.read_text()
    whole = json.loads(before)
    listed = [{key: one[key] for key in ("run_id", "name", "study", "trial", "miou")} for one in whole["members"]]
    others = [
        {"members": [whole["members"][0] | {"votes": 3}, *whole["members"][1:]]},
        {"members": whole["members"][:2], "candidates": listed},
    ]
    assert foresee(place, "--images", place / "data", "--out", out) == 0
    first = (out / "foresee.json").read_bytes()
    for other in others:
        file.write_text(json.dumps(whole | other))
        capsys.readouterr()
        assert foresee(place, "--images", place / "data", "--out", out) == 2
        assert f"{out} holds a prediction with other votes: choose another --out" in capsys.readouterr().err
    file.write_text(before)
    assert (out / "foresee.json").read_bytes() == first


def test_what_is_foreseen_is_shown_before_the_picture_is_drawn(place, capsys, monkeypatch):
    def fail(*_):
        raise UserError("a photo is gone")

    monkeypatch.setattr("search.commands.foresee.expectation.draw_least_like", fail)
    assert foresee(place, "--images", place / "data", "--out", place / "same") == 2
    assert "Expect an mIoU" in capsys.readouterr().out


def test_the_best_other_candidates_join_and_do_not_vote(place, capsys):
    file = place / "runs" / "night" / "ensemble.json"
    before = file.read_text()
    whole = json.loads(before)
    listed = [{key: one[key] for key in ("run_id", "name", "study", "trial", "miou")} for one in whole["members"]]
    listed[2]["miou"] = 0.2
    file.write_text(json.dumps(whole | {"members": whole["members"][:1], "candidates": listed}))
    assert foresee(place, "--images", place / "data", "--out", place / "joined") == 0
    assert foresee(place, "--images", place / "data", "--out", place / "alone", "--runs", 1) == 0
    file.write_text(before)
    assert "8 photos, 1 member and 1 other run, one view each" in capsys.readouterr().out
    found = json.loads((place / "joined" / "foresee.json").read_text())
    # The third scores less than 0.6 of the first.
    assert [(one["name"], one["votes"]) for one in found["runs"]] == [("night-0000", 1), ("night-0001", 0)]
    assert found["vote"]["holdout"] == found["runs"][0]["holdout"]
    assert len(json.loads((place / "alone" / "foresee.json").read_text())["runs"]) == 1


def test_predict_tells_the_same(place, capsys, monkeypatch):
    monkeypatch.setattr("search.commands.predict.command.FEW_RUNS", 3)
    typed = ["--ensemble", "night", "--runs-dir", str(place / "runs"), "--images", str(place / "data")]
    assert main(["predict", *typed, "--out", str(place / "predicted"), "--write", "csv"]) == 0
    assert "Expect an mIoU" in capsys.readouterr().out
    assert foresee(place, "--images", place / "data", "--out", place / "same") == 0
    assert (place / "predicted" / "foresee.json").read_bytes() == (place / "same" / "foresee.json").read_bytes()


def test_predict_goes_without_where_the_holdout_is_not_there(place, capsys, monkeypatch):
    make_study(place / "elsewhere")
    monkeypatch.setattr("search.commands.predict.command.FEW_RUNS", 3)
    typed = ["--ensemble", "night", "--runs-dir", str(place / "elsewhere"), "--images", str(place / "data")]
    assert main(["predict", *typed, "--out", str(place / "quiet"), "--write", "csv"]) == 0
    assert "Expect an mIoU" not in capsys.readouterr().out
    assert not (place / "quiet" / "foresee.json").exists()


def test_halves_need_no_photos(place, capsys):
    assert foresee(place, "--halves", 100) == 0
    assert "Two halves of a test of 100 photos" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "there is nothing to estimate: give --images DIR or --halves N"),
        (["--out", "there", "--halves", "50"], "--out needs --images"),
        (["--images", "nowhere"], "there is no such directory or file"),
        (["--images", "DATA", "--tta", "flip"], "has not predicted the holdout with"),
    ],
)
def test_mistakes_end_with_one_line(place, capsys, flags, said):
    assert foresee(place, *(place / "data" if flag == "DATA" else flag for flag in flags)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_is_missing_of_the_holdout_is_named(place, capsys):
    make_study(place / "elsewhere")
    assert main(["foresee", "--ensemble", "night", "--runs-dir", str(place / "elsewhere"), "--halves", "50"]) == 2
    assert "the holdout's labels are not there" in capsys.readouterr().err


def test_class_maps_of_another_holdout_are_refused(place, capsys):
    path = place / "runs" / "night" / "trials" / "0001" / "holdout.predictions"
    before = path.read_bytes()
    write_predictions(path, dataclasses.replace(read_predictions(path), fingerprint="other"))
    assert foresee(place, "--halves", 100) == 2
    path.write_bytes(before)
    assert "differ in their holdout's photos or labels" in capsys.readouterr().err
