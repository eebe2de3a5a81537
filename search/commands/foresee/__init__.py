"""`segvote foresee`: what an ensemble is expected to score on photos without labels."""
