"""What a vote will score on photos without labels, from the class maps of a pool of runs alone."""
