"""The processes that compute one run together."""
