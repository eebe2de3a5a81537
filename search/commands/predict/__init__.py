"""`segvote predict` and `segvote pseudo`: what an ensemble says of photos, as files and as scores."""
