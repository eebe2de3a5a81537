"""The cut of the training photos into folds: what each method keeps even, and how even the result is."""
