"""A trial that survives being killed: its files, its state, and the loop that goes on from them."""
