"""The page of a study: the paper's tables and figures, from a plain view of what its jobs left."""
