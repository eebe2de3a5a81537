"""Suggestion: what a trial's directory keeps of its configuration."""

from search.tuning.searchers.suggestion import Suggestion


def test_weights_are_taken_from_where_a_resumed_study_says():
    suggestion = Suggestion(3, {"lr": 0.1, "weights_dir": "/old"}, {"lr": 0.1})
    assert suggestion.with_weights_from("/new").params == {"lr": 0.1, "weights_dir": "/new"}
    assert suggestion.with_weights_from(None) is suggestion
