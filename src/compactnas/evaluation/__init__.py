"""Accuracy of a trained network."""
