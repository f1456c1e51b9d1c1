"""Predictions of images of any size, and the files that hold them."""
