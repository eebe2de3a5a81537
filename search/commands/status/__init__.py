"""`segvote status`: how far a study is, read from its files or from MLflow alone, shown as a screen or as JSON."""
