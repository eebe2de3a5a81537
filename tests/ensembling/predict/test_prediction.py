"""A prediction: the members' maps on disk, their vote photo by photo, and going on after a kill."""

import dataclasses

import numpy as np
import pytest

from ensembling import hard_vote
from ensembling.predict.prediction import Prediction, agreement, make_predictor
from ensembling.runs.members import open_ensemble
from tests import tiny
from tests.ensembling.made_ensemble import make_study
from trainables.data.photo_list import list_photos
from trainables.errors import UserError
from trainables.files import read_json, write_json
from trainables.inference.tta import TestTimeAugmentation


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return list_photos(tiny.write_data(tmp_path_factory.mktemp("photos"))).photos


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    return open_ensemble(str(make_study(tmp_path_factory.mktemp("runs"), votes=(2, 1, 2))), "", None)


def prediction(directory, ensemble, photos, **views):
    one = Prediction(directory, ensemble, photos, TestTimeAugmentation(**views), batch_size=3)
    one.open()
    return one


def predict_all(one):
    for place in range(len(one.ensemble.members)):
        one.predict(place)
    return one


@pytest.fixture(scope="module")
def whole(tmp_path_factory, ensemble, photos):
    return predict_all(prediction(tmp_path_factory.mktemp("out"), ensemble, photos))


def test_members_vote_photo_by_photo(whole, ensemble, photos):
    own = [
        list(make_predictor(member, ensemble, TestTimeAugmentation()).class_maps(photos)) for member in ensemble.members
    ]
    ballots = list(whole.ballots())
    assert [photo for photo, _, _ in ballots] == list(photos)
    for place, (_, stack, winners) in enumerate(ballots):
        expected = np.stack([maps[place] for maps in own])
        assert np.array_equal(stack, expected)
        assert np.array_equal(winners, hard_vote(expected, 3, [2, 1, 2]))
    assert any((stack[0] != stack[1]).any() for _, stack, _ in ballots), "members that agree prove nothing"


def test_what_a_kill_left_is_gone_on_with_to_the_same_bytes(whole, ensemble, photos, tmp_path):
    one = prediction(tmp_path, ensemble, photos)
    for place in range(3):
        data = whole.maps_file(place).read_bytes()
        one.maps_file(place).parent.mkdir(exist_ok=True)
        one.maps_file(place).write_bytes(data[: len(data) * (place + 1) // 3 - 5 * (place < 2)])
    assert 0 < one.done(0) < one.done(1) < one.done(2) == len(photos)
    seen = []
    one.predict(0, seen.append)
    assert seen == list(range(one.done(0) - len(seen) + 1, len(photos) + 1))
    assert len(seen) < len(photos), "what was there is not predicted again"
    one.predict(1)
    one.predict(2)
    for place in range(3):
        assert one.maps_file(place).read_bytes() == whole.maps_file(place).read_bytes()


def test_weights_that_were_trained_further_are_not_gone_on_with(tmp_path, photos):
    file = make_study(tmp_path / "runs")
    prediction(tmp_path / "out", open_ensemble(str(file), "", None), photos)
    weights = file.parent / "trials" / "0001" / "best.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1  # of the same size, as they are after another epoch
    weights.write_bytes(data)
    with pytest.raises(UserError, match="holds a prediction with other members"):
        prediction(tmp_path / "out", open_ensemble(str(file), "", None), photos)


def test_a_photo_that_was_restored_or_left_out_costs_only_those_from_it_on(whole, ensemble, photos, tmp_path):
    predict_all(prediction(tmp_path / "out", ensemble, photos))
    others = (*photos[:5], *photos[6:])
    one = prediction(tmp_path / "out", ensemble, others)
    assert [one.done(place) for place in range(3)] == [5, 5, 5]
    maps = [[*whole.maps(place)] for place in range(3)]
    predict_all(one)
    for place in range(3):
        assert all(
            np.array_equal(*pair) for pair in zip(one.maps(place), maps[place][:5] + maps[place][6:], strict=True)
        )
    assert prediction(tmp_path / "out", ensemble, photos).done(0) == 5


def test_weights_that_change_after_the_start_do_not_vote(tmp_path, photos):
    file = make_study(tmp_path / "runs", heads=("fpn",))
    one = prediction(tmp_path / "out", open_ensemble(str(file), "", None), photos)
    weights = file.parent / "trials" / "0000" / "best.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UserError, match="was replaced meanwhile"):
        one.predict(0)
    assert one.done(0) == 0


@pytest.mark.parametrize("other", ["views", "photos", "members"])
def test_a_directory_of_another_prediction_is_refused(whole, ensemble, photos, other):
    changed = {
        "views": lambda: prediction(whole.directory, ensemble, photos, flip=True),
        "photos": lambda: prediction(whole.directory, ensemble, photos[1:]),
        "members": lambda: prediction(whole.directory, _without_first(ensemble), photos),
    }
    with pytest.raises(UserError, match=f"holds a prediction with other {other}"):
        changed[other]()
    prediction(whole.directory, ensemble, photos)


def test_a_directory_of_an_earlier_version_is_gone_on_with_and_is_of_one_vote_then(ensemble, photos, tmp_path):
    one = predict_all(prediction(tmp_path, ensemble, photos))
    request = read_json(tmp_path / "prediction.json")
    write_json(tmp_path / "prediction.json", {key: value for key, value in request.items() if key != "votes"})
    assert [prediction(tmp_path, ensemble, photos).done(place) for place in range(3)] == [len(photos)] * 3
    assert read_json(tmp_path / "prediction.json") == request
    with pytest.raises(UserError, match="holds a prediction with other votes"):
        dataclasses.replace(one, voting=2).open()


@pytest.mark.parametrize("content", ["[]", "null", "{}"])
def test_a_directory_with_another_file_of_that_name_is_refused(ensemble, photos, tmp_path, content):
    (tmp_path / "prediction.json").write_text(content)
    with pytest.raises(UserError, match="holds a prediction with other members"):
        prediction(tmp_path, ensemble, photos)


def _without_first(ensemble):
    return type(ensemble)(
        ensemble.name, ensemble.members[1:], ensemble.class_names, ensemble.views, ensemble.description
    )


def test_agreement_counts_the_winners_votes():
    ballots = np.array([[[1, 2, 0]], [[1, 1, 2]], [[2, 1, 1]]], np.uint8)
    winners = hard_vote(ballots, 3, [2, 1, 1])
    assert winners.tolist() == [[1, 2, 0]]
    assert agreement(ballots, winners, [2, 1, 1]).tolist() == [[3, 2, 2]]
