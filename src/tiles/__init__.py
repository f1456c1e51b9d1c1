"""Overlap-tile prediction of images of any size, and averages over rotations and reflections."""
