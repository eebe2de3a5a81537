"""Searchers, in Ray Tune's sense: they say which configuration the next trial trains, and learn how trials end."""
