"""Scores of predictions, and what is chosen or fitted by means of scores: decoder, calibration, confidence."""
