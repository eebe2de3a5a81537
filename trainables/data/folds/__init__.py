"""How the training photos are cut in folds: what each method looks at, and how even the outcome is."""
