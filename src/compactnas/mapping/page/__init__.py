"""A map as one HTML page that opens from a file: layers over the scene, legends, and the value of each cell."""
