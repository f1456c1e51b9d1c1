"""Disk to arrays and back: image formats, atomic writing, and names."""
