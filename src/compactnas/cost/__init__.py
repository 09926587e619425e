"""What a network costs: MACs, parameters, latency."""
