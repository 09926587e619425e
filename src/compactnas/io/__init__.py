"""Read and write files safely, and stop on request."""
