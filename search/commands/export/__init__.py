"""`segvote export`: an ensemble as a directory of its own and as a registered model."""
