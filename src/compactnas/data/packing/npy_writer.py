"""Write a `.npy` file patch by patch, with a running checksum."""

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
    """Open `.npy` file with the SHA-256 of its content; create it with `begun` or `resumed`.

    The file is not memory-mapped, because its pages would count as memory of this process.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._hash = stream, hashlib.sha256()

    @classmethod
    def begun(cls, file: Path, shape: tuple[int, ...], dtype: str) -> NpyWriter:
        """Create a file with its header, and reserve the disk space if the system can."""
        header = _header(shape, dtype)
        stream = file.open("w+b", buffering=0)
        with suppress(AttributeError, OSError):
            os.posix_fallocate(stream.fileno(), 0, len(header) + math.prod(shape) * np.dtype(dtype).itemsize)
        array = cls(stream)
        array._write(memoryview(header))
        return array

    @classmethod
    def resumed(cls, file: Path, shape: tuple[int, ...], dtype: str, rows: int, checksum: str) -> NpyWriter | None:
        """Open a file after its first `rows` rows; None if they do not match the checksum.

        Later rows of an interrupted call are written again.
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
        """Append rows of the dtype and shape of the file."""
        self._write(np.ascontiguousarray(rows).data.cast("B"))

    @property
    def checksum(self) -> str:
        """SHA-256 of everything written so far."""
        return self._hash.hexdigest()

    def _write(self, content: memoryview) -> None:
        self._hash.update(content)
        while content:  # the system may write only a part of it
            content = content[self._stream.write(content) :]


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = BytesIO()
    about = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    return header.getvalue()
