"""A study under Ray Tune: where configurations come from, which trials stop early, and what follows each event."""
