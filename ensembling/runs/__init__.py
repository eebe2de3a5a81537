"""Runs that can vote: candidates read from MLflow, the members of an ensemble, and ensemble.json."""
