"""Drawings of objects for notebooks, one per module; `compactnas.registry.DRAWINGS` finds them by file name."""
