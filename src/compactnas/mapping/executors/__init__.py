"""Where the blocks of a map are computed."""
