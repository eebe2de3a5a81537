"""What is shown of a study's result: the tables at its end, plots, pictures, and the HTML page."""
