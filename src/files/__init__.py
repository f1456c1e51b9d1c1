"""Reading and writing of files: image formats, file names, and writing that leaves no incomplete file."""
