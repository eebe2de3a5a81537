"""Searches without training: recorded trials, a surrogate for all others, and a clock that does not wait."""
