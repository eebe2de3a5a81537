"""What people see of a study: the live screen, the tables at its end, pictures, and the HTML page."""
