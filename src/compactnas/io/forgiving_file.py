"""Files for libraries that do not report, or do not survive, an error of the system while they write.

GDAL crashes if it cannot read back the part of a file that it has just written, and HDF5 if it cannot close a file. So
these files never fail. They keep the first error, and from then on what is written stays in memory, as far as it is
needed.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict, deque
from collections.abc import Callable
from io import FileIO, RawIOBase
from pathlib import Path
from typing import Any, TypeVar

RECENT_BYTES = 8 * 2**20
"""Memory for what was written last to a file. The directory of a GeoTIFF with half a million tiles fits in."""
PIECE_BYTES = 160
"""Memory that each piece needs beside its content."""

Answer = TypeVar("Answer")


class Recent:
    """The last few MiB that were written to a file, and its size: what the file holds if the system does not fail.

    Attributes:
        size: Size of the file in bytes.
    """

    def __init__(self) -> None:
        self.size = 0
        self._pieces = deque[tuple[int, bytes]]()
        self._held = 0

    def add(self, start: int, content: bytes) -> None:
        """Keep a piece, and forget the oldest ones if there are too many."""
        self.size = max(self.size, start + len(content))
        self._pieces.append((start, content))
        self._held += len(content) + PIECE_BYTES
        while self._held > RECENT_BYTES:
            self._held -= len(self._pieces.popleft()[1]) + PIECE_BYTES

    def cut(self, size: int) -> None:
        """Change the size of the file."""
        kept = [(start, content[: size - start]) for start, content in self._pieces if start < size]
        self.size, self._held = size, sum(len(content) + PIECE_BYTES for _, content in kept)
        self._pieces = deque(kept)

    def lay_over(self, start: int, buffer: memoryview, found: int) -> int:
        """Fill a buffer, which holds a part of the file from `start` on, with what is known of this part.

        Args:
            start: Where the part begins.
            buffer: Gets the part.
            found: Number of bytes that the buffer holds already.

        Returns:
            The number of bytes up to the first one that is not known.
        """
        known = bytearray(b"\1" * found + bytes(len(buffer) - found))
        for place, content in self._pieces:
            first, last = max(start, place), min(start + len(buffer), place + len(content))
            if first < last:
                buffer[first - start : last - start] = content[first - place : last - place]
                known[first - start : last - start] = b"\1" * (last - first)
        return known.index(0) if 0 in known else len(buffer)


class ForgivingFile(RawIOBase):
    """File that keeps the first error of the system instead of raising it. Nothing is written after it.

    Args:
        path: The file. That it cannot be opened is raised.
        mode: As for `open`.
        recent: What was written last to the same file, if it is opened several times.
        errors: List that gets the first error, with the name of the file. Files with the same list belong together:
            after an error in one of them, nothing is written to the others either. Raise the error when the library
            has closed the files.
    """

    def __init__(
        self, path: str | Path, mode: str, recent: Recent | None = None, errors: list[OSError] | None = None
    ) -> None:
        self.name = str(path)
        self._file = FileIO(path, mode)
        self._recent = Recent() if recent is None else recent
        self.errors = [] if errors is None else errors
        self._at = 0
        if "w" in mode:
            self._recent.cut(0)
        self._recent.size = max(self._recent.size, os.fstat(self._file.fileno()).st_size)

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        place, size = self._at, len(left)
        self._recent.add(place, bytes(left))
        while len(left) and not self.errors:  # the system may write only a part of it
            done = self._kept(self._write_at, 0, place, left)
            left, place = left[done:], place + done
        self._at += size
        return size

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        found = self._kept(self._read_at, 0, self._at, view)
        if self.errors:
            view = view[: max(0, self._recent.size - self._at)]
            found = self._recent.lay_over(self._at, view, min(found, len(view)))
        self._at += found
        return found

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        self._at = position + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._recent.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        self._recent.cut(size)
        if not self.errors:
            self._kept(self._file.truncate, 0, size)
        return size

    def close(self) -> None:
        super().close()
        self._kept(self._file.close, None)

    def _write_at(self, place: int, content: memoryview) -> int:
        self._file.seek(place)
        return self._file.write(content) or 0

    def _read_at(self, place: int, buffer: memoryview) -> int:
        self._file.seek(place)
        return self._file.readinto(buffer) or 0

    def _kept(self, action: Callable[..., Answer], otherwise: Answer, *given: Any) -> Answer:
        """Answer of an action on the file; `otherwise` if the system fails, of which the first error is kept."""
        try:
            return action(*given)
        except OSError as error:
            if not self.errors:
                self.errors.append(OSError(error.errno, error.strerror, self.name))
            return otherwise


class ForgivingFiles:
    """Opens files that belong together: after an error in one of them, nothing is written to the others either.

    Args:
        name: Text that the names of the files contain. Other files are said to be missing.

    Attributes:
        errors: The first error, also one of opening, with the name of the file; else empty.
    """

    def __init__(self, name: str) -> None:
        self.errors = list[OSError]()
        self._name, self._recent = name, defaultdict[str, Recent](Recent)

    def __call__(self, path: str, mode: str = "r") -> ForgivingFile:
        """Open a file, as `open` does."""
        if self._name not in Path(path).name:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        try:
            return ForgivingFile(path, mode, self._recent[path], self.errors)
        except FileNotFoundError:
            raise
        except OSError as error:
            self.errors.append(error)
            raise
