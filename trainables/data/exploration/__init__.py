"""What can be said of a data set from its annotations: tables, numbers and advice; nothing is drawn here."""
