"""A tiny valid set of the format `npz`."""

from support.data_files import npz as make

__all__ = ["make"]
