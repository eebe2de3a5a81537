"""An ensemble as a directory of its own, as a model that MLflow serves, and its members in other formats."""
