"""Data, models and training in ordinary PyTorch. `ray_trainable.py` alone imports Ray."""
