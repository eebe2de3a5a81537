"""`segvote pseudo` as it is typed: what is kept is what enough members agree on."""

import numpy as np
import pytest

from ensembling.predict.prediction import Prediction, agreement
from ensembling.runs.members import open_ensemble
from search.cli import main
from tests import tiny
from tests.ensembling.made_ensemble import CLASS_NAMES, make_study
from trainables.data.photo_list import list_photos
from trainables.data.pseudo import load_pseudo
from trainables.inference.tta import TestTimeAugmentation

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pseudo")
    tiny.write_data(directory / "data")
    make_study(directory / "runs", votes=(2, 1, 2))
    return directory


def pseudo(place, out, *flags):
    typed = ["--ensemble", str(place / "runs" / "night"), "--images", str(place / "data"), "--out", str(place / out)]
    return main(["pseudo", *typed, *flags])


def ballots(place):
    ensemble = open_ensemble(str(place / "runs" / "night"), place / "runs", None)
    one = Prediction(place / "again", ensemble, list_photos(place / "data").photos, TestTimeAugmentation())
    one.open()
    for number in range(3):
        one.predict(number)
    return {f"images/{photo.file_name}": (stack, winners) for photo, stack, winners in one.ballots()}


def labels(place, out):
    dataset = load_pseudo(place / out, CLASS_NAMES, unlabelled="background")
    return {image.file_name: dataset.mask(image.row) for image in dataset.images}


def test_pixels_with_too_few_votes_are_ignored(place, capsys):
    assert pseudo(place, "P", "--agree", "4", "--least", "0") == 0
    said = capsys.readouterr().out
    assert "at least 4 of 5 votes" in said
    assert "8 photos kept, 0 dropped" in said
    found, expected = labels(place, "P"), ballots(place)
    assert found.keys() == expected.keys()
    for name, (stack, winners) in expected.items():
        enough = agreement(stack, winners, [2, 1, 2]) >= 4
        assert np.array_equal(found[name], np.where(enough, winners, 255))
    assert not (place / "P.prediction").exists()


def test_one_members_labels_where_others_agree(place):
    assert pseudo(place, "Q", "--agree", "3", "--least", "0", "--member", "night-0002") == 0
    found = labels(place, "Q")
    for name, (stack, _) in ballots(place).items():
        enough = agreement(stack, stack[2], [2, 1, 2]) >= 3
        assert np.array_equal(found[name], np.where(enough, stack[2], 255))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--agree", "6"], "--agree 6: the members of this ensemble have only 5 votes"),
        (["--member", "day-0001"], "--member day-0001 is no member of the ensemble"),
    ],
)
def test_mistakes_end_with_one_line_and_no_data_set(place, capsys, flags, said):
    assert pseudo(place, "wrong", *flags) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (place / "wrong").exists()
    assert not (place / "wrong.prediction").exists()  # nothing was predicted for it
