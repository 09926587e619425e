"""Epochs, steps and recipes that train a network."""
