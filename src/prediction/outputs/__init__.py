"""Tables, outlines and pictures of predicted cells."""
