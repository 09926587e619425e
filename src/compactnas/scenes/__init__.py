"""Georeferenced scenes: read their files, bands, numbers and gaps, for training and for mapping alike."""
