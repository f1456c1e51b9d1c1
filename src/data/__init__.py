"""Annotated images, and the tiles, targets and splits that are made of them."""
