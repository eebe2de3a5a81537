"""Which corrections a search is asked for."""

import pytest

from search.study.edits import asked_edits
from search.study.settings import Settings
from search.study.space import grid_points, make_space
from trainables.errors import UserError

RULE = "rules: [{delete: {max_area: 3}}]\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "part.yaml").write_text(RULE)
    (tmp_path / "whole.yaml").write_text("apply_to_holdout: true\n" + RULE)
    return {name: str(tmp_path / f"{name}.yaml") for name in ("part", "whole")}


def test_flags_that_name_edits(files):
    assert asked_edits(Settings()) == []
    assert [one.name for one in asked_edits(Settings(edits=files["part"]))] == [files["part"]]
    assert [one.name for one in asked_edits(Settings(grid=(f"edits=none,{files['part']}",)))] == [files["part"]]
    assert [one.name for one in asked_edits(Settings(fix=(f"edits={files['part']}",)))] == [files["part"]]


def test_edits_are_a_factor_like_any_other(files):
    settings = Settings(grid=(f"edits=none,{files['part']}",))
    points = grid_points(make_space(settings), settings.grid)
    assert [point["edits"] for point in points] == ["none", files["part"]]
    assert make_space(Settings(edits=files["part"])).first()["edits"] == files["part"]


def test_holdouts_that_differ_are_refused(files):
    assert asked_edits(Settings(edits=files["whole"]))[0].apply_to_holdout
    with pytest.raises(UserError, match="would be scored on different holdouts"):
        asked_edits(Settings(grid=(f"edits=none,{files['whole']}",)))
