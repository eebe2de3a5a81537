"""Schedulers, in Ray Tune's sense: they decide after each epoch whether a trial goes on.

Each knows the numbers of the trials that are `paused`, and is told by `replay` of what earlier commands trained.
"""
