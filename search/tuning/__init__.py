"""A study under Ray Tune: the tuner that runs it, how it resumes, and what follows each event of a trial."""
