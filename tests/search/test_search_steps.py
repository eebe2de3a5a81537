"""What the plan of a search advises."""

import pytest

from search.search_steps import what_if_too_long


@pytest.mark.parametrize(("space", "advised"), [("cnn_heads", True), ("quickstart", False)])
def test_the_space_for_cpus_is_advised_to_searches_of_other_spaces(space, advised):
    assert ("quickstart" in what_if_too_long(space)) == advised
