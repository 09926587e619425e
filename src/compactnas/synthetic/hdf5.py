"""Write HDF5 files so that a full disk is an error like any other.

If HDF5 itself cannot write, it cannot close its files either: it prints tracebacks of its own, and may crash. So it
writes through a file of Python here, which keeps the first error and writes nothing after it.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from compactnas.io.forgiving_file import ForgivingFile


class Hdf5Writer:
    """New HDF5 file.

    Attributes:
        file: The open file. Call `check` after writing to it.
    """

    def __init__(self, path: Path) -> None:
        self._below = ForgivingFile(path, "w+b")
        self.file = h5py.File(self._below, "w")

    def check(self) -> None:
        """Raise the error of the system, if there was one."""
        for error in self._below.errors:
            raise error

    def close(self) -> None:
        """Close the file, without `check`."""
        self.file.close()
        self._below.close()
