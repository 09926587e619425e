"""Write HDF5 files so that a full disk is an error like any other.

If HDF5 itself cannot write, it cannot close its files either: it prints tracebacks of its own, and may crash. So it
writes through a file of Python here, which keeps the first error and drops what comes after it.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import Any

import h5py


class Hdf5Writer:
    """New HDF5 file.

    Attributes:
        file: The open file. Call `check` after writing to it.
    """

    def __init__(self, path: Path) -> None:
        self._below = _Forgiving(path, "w+b")
        self.file = h5py.File(self._below, "w")

    def check(self) -> None:
        """Raise the error of the system, if there was one."""
        if self._below.error is not None:
            raise self._below.error

    def close(self) -> None:
        """Close the file, without `check`."""
        self.file.close()
        self._below.close()


class _Forgiving(FileIO):
    """File that keeps the first error of writing; later content is dropped."""

    error: OSError | None = None

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while len(left) and self.error is None:  # the system may write only a part of it
                left = left[super().write(left) or 0 :]
        except OSError as error:
            self.error = _named(error, self.name)
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size) if self.error is None else 0
        except OSError as error:
            self.error = _named(error, self.name)
            return 0


def _named(error: OSError, name: Any) -> OSError:
    return OSError(error.errno, error.strerror, str(name))
