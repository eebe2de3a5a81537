"""MLflow: the stores, the runs of studies, trials and ensembles, and the pages that show them."""
