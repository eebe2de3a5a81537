"""`segvote vote`: the hard vote over submission files that were made anywhere."""
