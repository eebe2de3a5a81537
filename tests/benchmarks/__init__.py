import os

# Simulated pools are many small products of matrices, on which threads do little but wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
