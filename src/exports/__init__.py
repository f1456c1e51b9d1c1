"""Export of trained networks to files that other programs can read."""
