"""A study: its directory, its settings, its space with what is pinned, and how its trials end."""
