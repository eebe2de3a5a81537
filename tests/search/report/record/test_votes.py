"""The vote of a study's ensemble, taken again photo by photo."""

import dataclasses

import numpy as np
import pytest

from ensembling import hard_vote, read_predictions, write_predictions
from ensembling.runs.ensemble import read_ensemble
from ensembling.scores import confusion_matrix, iou_per_class
from search.report.record.votes import REASONS, PhotoVotes, _pick, look_at_votes


def members_of(study):
    ensemble = read_ensemble(study.ensemble_file)
    target = read_predictions(study.target_file)
    rows = [read_predictions(study.trial_files(one.trial).predictions).pixels for one in ensemble.members]
    return ensemble, target, np.stack(rows)


def test_the_confusion_is_that_of_the_vote(ended):
    ensemble, target, rows = members_of(ended)
    seen = look_at_votes(ended, ensemble)
    expected = confusion_matrix(hard_vote(rows, 3), target.pixels, 3)
    np.testing.assert_array_equal(seen.confusion, expected)
    assert np.nanmean(iou_per_class(seen.confusion)) == pytest.approx(ensemble.miou)


def test_shares_are_counted_where_the_target_is_scored(ended):
    ensemble, target, rows = members_of(ended)
    best = ensemble.candidates[0].trial
    single = read_predictions(ended.trial_files(best).predictions)
    vote = hard_vote(rows, 3)
    photos = {photo.index: photo for photos in look_at_votes(ended, ensemble).picked.values() for photo in photos}
    assert photos
    starts = np.cumsum([0, *(height * width for height, width in target.sizes)])
    for place, photo in photos.items():
        part = slice(starts[place], starts[place + 1])
        truth = target.pixels[part]
        scored = truth != 255
        assert photo.changed == pytest.approx((vote[part] != single.pixels[part])[scored].mean())
        assert photo.wrong == pytest.approx((rows[:, part] != truth).all(axis=0)[scored].mean())
        assert photo.disputed == pytest.approx((rows[:, part] != vote[part])[:, scored].mean())
        np.testing.assert_array_equal(photo.vote.reshape(-1), vote[part])


def test_a_photo_is_shown_once_and_only_where_there_is_something_to_see(ended):
    picked = look_at_votes(ended, read_ensemble(ended.ensemble_file)).picked
    places = [photo.index for photos in picked.values() for photo in photos]
    assert len(places) == len(set(places))
    assert all(getattr(photo, REASONS[why]) > 0 for why, photos in picked.items() for photo in photos)


def test_the_most_changed_photo_comes_first():
    nothing = [np.zeros((1, 1), np.uint8)] * 3
    photos = [
        PhotoVotes(place, str(place), *nothing, changed=place / 10, disputed=0.5, wrong=0.0) for place in range(10)
    ]
    changed, disputed, wrong = _pick(photos).values()
    assert [photo.index for photo in changed] == [9, 8, 7, 6]
    assert [photo.index for photo in disputed] == [0, 1, 2, 3]
    assert wrong == []


def test_lost_predictions_are_an_error_that_names_the_file(ended, tmp_path):
    ensemble = read_ensemble(ended.ensemble_file)
    moved = dataclasses.replace(ended, directory=tmp_path)
    write_predictions(moved.target_file, read_predictions(ended.target_file))
    with pytest.raises(FileNotFoundError, match=r"holdout\.predictions"):
        look_at_votes(moved, ensemble)
