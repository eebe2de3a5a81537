"""Schedulers, in Ray Tune's sense: they decide after each epoch whether a trial goes on."""
