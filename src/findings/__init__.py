"""Checks of annotated images: what is wrong with them, before anything is trained."""
