"""Executors that compute the blocks of a map, locally or on Ray."""
