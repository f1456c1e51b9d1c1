"""Prediction of images of any size, and the files in which predictions are stored."""
