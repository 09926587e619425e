"""File for libraries that do not report, or do not survive, an error of the system while they write."""

from __future__ import annotations

from io import FileIO
from typing import Any


class ForgivingFile(FileIO):
    """File that keeps the first error of writing; later content is dropped.

    Attributes:
        error: The first error, with the name of the file. Raise it when the library has closed the file.
    """

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

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self.error = self.error or _named(error, self.name)


def _named(error: OSError, name: Any) -> OSError:
    return OSError(error.errno, error.strerror, str(name))
