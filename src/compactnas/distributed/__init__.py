"""Several processes that compute one run together."""
