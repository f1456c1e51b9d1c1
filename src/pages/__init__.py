"""HTML pages and pictures that show results."""
