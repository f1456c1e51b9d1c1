"""One training run: its directory, its callbacks and its report."""
