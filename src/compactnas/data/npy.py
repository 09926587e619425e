"""Read `.npy` arrays of plain numbers and text, and check their headers before allocating memory.

numpy's own reader evaluates the header as a Python literal and allocates as much memory as the header claims.
"""

from __future__ import annotations

import lzma
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
HEADER = re.compile(
    r"\{'descr': '([<>|=]?[biufcSU]\d{1,9})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,18}(?:, \d{1,18})*,?)?)\),? ?\}\s*"
)
CHUNK_BYTES = 2**24
LAST_LETTER = 0x10FFFF
"""Last code point of Unicode."""


@runtime_checkable
class Stream(Protocol):
    """Binary file, or entry of a zip archive."""

    def read(self, size: int, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int: ...

    def tell(self) -> int: ...

    def close(self) -> None: ...


def read_header(stream: Stream) -> tuple[np.dtype[np.generic], bool, tuple[int, ...]]:
    """Read a header: dtype, whether the array is in Fortran order, and shape.

    Raises:
        ValueError: The header is missing or damaged, or describes objects, records or empty text.
    """
    start = stream.read(8)
    if start[:6] != MAGIC or len(start) < 8 or start[6] not in (1, 2, 3):
        raise ValueError("it is not an .npy array")
    wide = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(wide), "little")
    if length > LONGEST_HEADER:
        raise ValueError("its header is too long")
    found = HEADER.fullmatch(stream.read(length).decode("latin-1"))
    if found is None:
        raise ValueError("its header is damaged, or it has other content than numbers or text")
    try:
        dtype = np.dtype(found[1])
    except TypeError:
        raise ValueError(f"its dtype {found[1]} is unknown") from None
    if not dtype.itemsize:
        raise ValueError("it holds empty text")
    return dtype, found[2] == "True", tuple(int(size) for size in re.findall(r"\d+", found[3]))


def claimed_bytes(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> int:
    """Compute the size of an array in bytes; a side of length 0 counts as 1, so that the other sides stay bounded."""
    sides: list[int] = [max(size, 1) for size in shape]
    return math.prod(sides) * dtype.itemsize


def mapped(file: Path) -> Array:
    """Memory-map the array of a file; nothing is read or allocated.

    Raises:
        ValueError: The file is not an array, or its size does not match its header.
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        dtype, columns, shape = read_header(stream)
        start = stream.tell()
        there = stream.seek(0, 2) - start
    if there != claimed_bytes(dtype, shape):
        raise ValueError(f"it holds {there} bytes, its header says {dtype} of shape {shape}")
    return np.memmap(file, dtype, "r", start, shape, "F" if columns else "C")


def _code_points(text: Array) -> NDArray[np.uint32]:
    return text.reshape(-1, order="A").view(np.dtype("u4").newbyteorder(text.dtype.byteorder))


def read_array(opened: Callable[[], Stream], there: int) -> Array:
    """Read an array from a stream of `there` bytes, allocating no more memory than that.

    Raises:
        ValueError: The stream is not an array, or its size does not match its header.
        EOFError: The stream ends too early.
    """
    with closing(opened()) as stream:
        dtype, columns, shape = read_header(stream)
        claimed, empty = claimed_bytes(dtype, shape), 0 in shape
        if claimed > 2**40 or (stream.tell() + claimed != there and not empty):
            raise ValueError(f"it holds {there} bytes, its header says {dtype} of shape {shape}")
        array = np.empty(shape, dtype, order="F" if columns else "C")
        view = memoryview(b"") if empty else memoryview(array.reshape(-1, order="A").view(np.uint8))  # type: ignore[arg-type]  # arrays are buffers
        while len(view):
            read = stream.readinto(view[:CHUNK_BYTES])
            if not read:
                raise EOFError("it is cut short")
            view = view[read:]
    if dtype.kind == "U" and array.size and _code_points(array).max() > LAST_LETTER:
        raise ValueError("it contains an invalid character")
    return array


ZIP_ERRORS = (OSError, ValueError, EOFError, RuntimeError, struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""Errors that zipfile raises for a damaged archive, depending on the damage; RuntimeError for an encrypted one."""


def read_entry(path: Path, name: str) -> Array:
    """Read one array of an `.npz` archive. Object arrays are refused: they are pickles, which can run code.

    Raises:
        ValueError: The file is not such an archive, it has no such array, or the array is damaged or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
            return read_array(lambda: archive.open(entry), entry.file_size)  # type: ignore[arg-type, return-value]  # an entry has the methods used
    except (*ZIP_ERRORS, KeyError, MemoryError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error


def lengths(path: Path) -> dict[str, int]:
    """Read the number of rows of each array in an `.npz` archive from the headers.

    Raises:
        ValueError: The file is not such an archive, or an array in it is damaged.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as stream:
                    _, _, shape = read_header(stream)  # type: ignore[arg-type]  # it has the methods used
                found[entry.filename.removesuffix(".npy")] = shape[0] if shape else 1
    except ZIP_ERRORS as error:
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from None
    return found
