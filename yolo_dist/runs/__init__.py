"""The directory of a run: written by training, read back by the report."""
