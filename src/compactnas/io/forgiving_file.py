"""File for libraries that do not report, or do not survive, an error of the system while they write."""

from __future__ import annotations

from collections.abc import Callable
from io import FileIO
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class ForgivingFile(FileIO):
    """File that keeps the first error, be it of writing, reading or moving; later content is dropped.

    Attributes:
        error: The first error, with the name of the file. Raise it when the library has closed the file.
    """

    error: OSError | None = None

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        size = len(left)
        while len(left) and self.error is None:  # the system may write only a part of it
            left = left[self._kept(super().write, 0, left) or 0 :]
        return size

    def read(self, size: int | None = -1) -> bytes:
        return self._kept(super().read, b"", -1 if size is None else size) or b""

    def seek(self, position: int, whence: int = 0) -> int:
        return self._kept(super().seek, 0, position, whence)

    def tell(self) -> int:
        return self._kept(super().tell, 0)

    def truncate(self, size: int | None = None) -> int:
        return self._kept(super().truncate, 0, size) if self.error is None else 0

    def close(self) -> None:
        self._kept(super().close, None)

    def _kept(self, action: Callable[..., Answer], otherwise: Answer, *given: Any) -> Answer:
        """Answer of an action on the file; `otherwise` if the system fails, of which the first error is kept."""
        try:
            return action(*given)
        except OSError as error:
            self.error = self.error or OSError(error.errno, error.strerror, str(self.name))
            return otherwise
