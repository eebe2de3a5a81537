"""The assessment of a selection: baselines, gains and their intervals, and how much its members differ."""
