"""The differentiable search for a cell and its depths."""
