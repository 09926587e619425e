"""The page of a study: the paper's tables and figures, made from a plain view of the results of its jobs."""
