"""What a selection is worth: baselines, gains and their intervals, and how unlike its members are."""
