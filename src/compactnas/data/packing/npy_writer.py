"""A `.npy` file that grows patch by patch, with the checksum of what it holds so far."""

from __future__ import annotations

import hashlib
import math
import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

READ_BYTES = 2**20


class NpyWriter:
    """An open file and the SHA-256 of all that was written to it; made by `begun` or `resumed`.

    It is written, not mapped: a mapped file would count as memory of this process.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._hash = stream, hashlib.sha256()

    @classmethod
    def begun(cls, file: Path, shape: tuple[int, ...], dtype: str) -> NpyWriter:
        """A new file, with its header; the disk's room is taken at once where the system can do that."""
        header = _header(shape, dtype)
        stream = file.open("w+b", buffering=0)
        with suppress(AttributeError, OSError):
            os.posix_fallocate(stream.fileno(), 0, len(header) + math.prod(shape) * np.dtype(dtype).itemsize)
        array = cls(stream)
        array._write(memoryview(header))
        return array

    @classmethod
    def resumed(cls, file: Path, shape: tuple[int, ...], dtype: str, rows: int, checksum: str) -> NpyWriter | None:
        """A file whose first `rows` rows are written; None where they are not what the checksum says.

        What an interrupted call wrote after them is written again.
        """
        left = len(_header(shape, dtype)) + rows * math.prod(shape[1:]) * np.dtype(dtype).itemsize
        try:
            stream = file.open("r+b", buffering=0)
        except OSError:
            return None
        array = cls(stream)
        while left and (content := stream.read(min(READ_BYTES, left))):
            array._hash.update(content)
            left -= len(content)
        if left or array.checksum != checksum:
            stream.close()
            return None
        return array

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, rows: NDArray[Any]) -> None:
        """More rows, of the dtype and shape that were named."""
        self._write(np.ascontiguousarray(rows).data.cast("B"))

    @property
    def checksum(self) -> str:
        """Of all that was written."""
        return self._hash.hexdigest()

    def _write(self, content: memoryview) -> None:
        self._hash.update(content)
        while content:  # the system may take it in pieces
            content = content[self._stream.write(content) :]


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = BytesIO()
    about = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    return header.getvalue()
