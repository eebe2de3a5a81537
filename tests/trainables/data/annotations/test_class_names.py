"""Names of classes that mean the background, or no class."""

import pytest

from trainables.data.annotations import checks


@pytest.mark.parametrize("name", ["0_background", "0: BG", "class 0 background"])
def test_the_background_with_its_number_is_refused(name):
    (fault,) = checks.check_classes("train.json", ["Paper", name], unlabelled="background")
    assert f"a category named {name!r}" in fault.what


@pytest.mark.parametrize("name", ["void", "__ignore__", "Unlabeled", "no class", "None"])
def test_names_of_no_class_are_told(name):
    for unlabelled in ("background", "ignore"):
        (problem,) = checks.doubtful_names("train.json", ["Paper", name], unlabelled=unlabelled)
        assert f"the category {name!r} has the name of pixels of no class" in problem.what


def test_a_class_with_background_in_its_name_is_told():
    (problem,) = checks.doubtful_names("train.json", ["Paper", "background/other"], unlabelled="background")
    assert problem.what.startswith("the category 'background/other' is a class of its own")
    assert not checks.doubtful_names("train.json", ["background/other", "avoid", "Other"], unlabelled="ignore")
    assert not checks.doubtful_names("train.json", ["Paper", "avoid", "Other"], unlabelled="background")
