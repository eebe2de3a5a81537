"""What is on screen while trials train: what is known of them (progress.py), and how it is shown (screen.py)."""
