"""A tiny valid set of the format `folder`."""

from support.data_files import folder as make

__all__ = ["make"]
