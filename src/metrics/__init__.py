"""Scores of predictions, and choices that are made by them."""
