"""`segvote data …`: looking at a data set, splitting, correcting and converting it. One file a command."""
