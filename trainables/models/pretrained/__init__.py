"""Weights to start from: found, downloaded or taken from checkpoints made elsewhere, and fitted to a backbone."""
