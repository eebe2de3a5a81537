"""`segvote refit`: the members of an ensemble, trained again on all labelled photos."""
