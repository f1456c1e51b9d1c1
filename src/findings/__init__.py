"""Check annotated images before a network is trained on them."""
