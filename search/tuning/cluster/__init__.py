"""The Ray cluster under a study: who may use it, what each trial gets of it, and whether it is still alive."""
