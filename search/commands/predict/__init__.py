"""`segvote predict` and `segvote pseudo`: an ensemble's predictions of photos, as files and as scores."""
