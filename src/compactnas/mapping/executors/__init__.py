"""Executors that compute the blocks of a map."""
