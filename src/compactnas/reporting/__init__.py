"""Show runs: HTML reports that work offline, progress on a terminal, and TensorBoard."""
