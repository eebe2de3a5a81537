"""ensemble.json: what is written is read back, and what cannot be read is told with the file and the key."""

import dataclasses
import json

import numpy as np
import pytest

from ensembling import Predictions, select_ensemble
from ensembling.assessment.assess import assess
from ensembling.assessment.diversity import measure_diversity
from ensembling.runs.candidates import Candidate
from ensembling.runs.describe import describe_ensemble
from ensembling.runs.ensemble import (
    FORMAT_VERSION,
    EffectOfViews,
    EnsembleRecord,
    ListedMember,
    PoolDiversity,
    RefitOf,
    read_ensemble,
    save_ensemble,
)
from trainables.data.scenes import Overlap
from trainables.errors import DamagedFileError, UserError

CLASSES, SIZE = ("Background", "Paper", "Glass"), (8, 8)


@pytest.fixture(scope="module")
def selected() -> EnsembleRecord:
    """The record of a real selection among five candidates, of twelve images with a rare class."""
    rng = np.random.default_rng(3)
    images = tuple(f"{number}.png" for number in range(12))
    masks = rng.integers(0, 2, (12, *SIZE)).astype(np.uint8)
    masks[:2, :4] = 2
    target = Predictions(images, (SIZE,) * len(images), CLASSES, "abc", masks.reshape(-1))
    candidates = []
    for number in range(5):
        wrong = rng.random(target.pixels.size) < 0.3
        pixels = np.where(wrong, rng.integers(0, 3, wrong.size), target.pixels).astype(np.uint8)
        maps = dataclasses.replace(target, pixels=pixels)
        candidates.append(Candidate(f"id{number}", f"night-{number:04d}", "night", number, {"lr": "0.1"}, 1, maps))
    rows, units = [one.predictions.pixels for one in candidates], target.group_of_pixels()
    selection = select_ensemble(rows, target.pixels, 3, image_ids=units)
    assessment = assess(
        selection, rows, target.pixels, 3, units, seed=0, threads=1, class_photos=target.photos_with_classes()
    )
    chosen = [rows[index] for index in selection.members]
    diversity = measure_diversity(chosen, target.pixels, 3, weights=selection.weights, seed=0)
    return describe_ensemble(selection, assessment, diversity, candidates, target, 0)


@pytest.fixture
def file(selected, tmp_path):
    save_ensemble(tmp_path / "ensemble.json", selected)
    return tmp_path / "ensemble.json"


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_selection_is_read_back_as_it_was(selected, file):
    assert len(selected.members) > 1
    assert selected.without_rare.classes == ("Glass",)
    assert read_ensemble(file) == selected


def test_so_is_all_that_a_study_and_a_refit_add(selected, tmp_path):
    first = dataclasses.replace(
        selected.members[0], study_id="s", weights_sha256="w", refit_of=RefitOf(name="night-0001", run_id="id1")
    )
    whole = dataclasses.replace(
        selected,
        members=(first, *selected.members[1:]),
        scenes=Overlap(3, 30, 2, 12, 1, 4, (("frames of a sequence", 9),)),
        category_ids={"Paper": 0, "Glass": 7},
        unlabelled="background",
        views={"flip": True, "scales": [1.0]},
        effect_of_views=(EffectOfViews(name="their vote", one_view=0.5, all_views=0.6),),
        pool_diversity={"with": PoolDiversity(candidates=2, disagreement=0.1)},
        studies=("night",),
        start=(),
        left_out=("night-0009 does not vote: it has no predictions",),
        refit_of=RefitOf(ensemble="night", run_id=None),
    )
    save_ensemble(tmp_path / "ensemble.json", whole)
    assert read_ensemble(tmp_path / "ensemble.json") == whole


def test_the_keys_are_those_that_studies_on_disk_have(selected, file):
    value = json.loads(file.read_text())
    assert value["format_version"] == FORMAT_VERSION
    assert value["miou_interval"].keys() == {"value", "standard_error", "low", "high"}
    assert value["members"][0].keys() == {
        "rank", "run_id", "name", "study", "trial", "miou", "votes", "leave_one_out", "shapley", "shapley_error",
        "params",
    }  # fmt: skip
    assert value["candidates"][0].keys() == {"run_id", "name", "study", "trial", "miou"}
    assert value["crossfit_folds"][0].keys() == {"images", "members", "votes", "ranking"}
    assert value["shortlist"] is None
    assert "refit_of" not in value


@pytest.mark.parametrize(
    ("key", "value"),
    [("members", 3), ("class_names", [1]), ("miou", "0.5"), ("gains", {"top_k": 0.1}), ("kappa", [["a"]])],
)
def test_a_value_of_another_type_is_told_with_file_and_key(file, key, value):
    change(file, **{key: value})
    with pytest.raises(DamagedFileError, match=rf"ensemble\.json is damaged \({key}.*: restore it, or select again"):
        read_ensemble(file)


def test_a_key_that_is_missing_is_told(file):
    members = json.loads(file.read_text())["members"]
    del members[1]["trial"]
    change(file, members=members)
    with pytest.raises(DamagedFileError, match=r"damaged \(members\.1\.trial: Field required\)"):
        read_ensemble(file)


def test_a_file_of_a_later_version_is_refused(file):
    change(file, format_version=FORMAT_VERSION + 1, members="in a way that this version does not know")
    with pytest.raises(UserError, match=r"ensemble\.json has format version 3, .* reads versions up to 2: update"):
        read_ensemble(file)


def test_a_file_of_an_earlier_version_is_read(file, selected):
    value = json.loads(file.read_text())
    for key in ("classes", "rare_photos", "without_rare", "best_single_interval", "holdout_edits", "format_version"):
        del value[key]
    file.write_text(json.dumps(value | {"known": "to nobody"}))
    found = read_ensemble(file)
    assert (found.members, found.gains, found.classes) == (selected.members, selected.gains, None)


def test_a_member_needs_little():
    text = '{"class_names": ["A"], "members": [{"run_id": "i", "name": "n", "study": "s", "trial": 1}]}'
    (member,) = EnsembleRecord.from_json(text).members
    assert member == ListedMember(run_id="i", name="n", study="s", trial=1)
    assert (member.votes, member.miou) == (1, None)
