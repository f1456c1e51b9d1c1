"""Scores of predictions, and the choices that are based on them: decoder, calibration, confidence."""
