"""Costs of networks: MACs, parameters, latency."""
