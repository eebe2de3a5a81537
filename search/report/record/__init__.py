"""What a report shows, as plain values: read from a study's files and from MLflow here, drawn elsewhere."""
