"""A tiny valid set of the format `so2sat`."""

from support.data_files import so2sat_folder as make

__all__ = ["make"]
