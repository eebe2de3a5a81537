"""What the commands do, a folder for each; their options are in search/cli. The search itself is search/run.py."""
