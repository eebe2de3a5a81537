"""From members to class maps of new photos, and to the competition's submission file."""
