"""Read text of variable length from an HDF5 file without the HDF5 library.

The library trusts the sizes in a file's global heap: damaged sizes made it allocate gigabytes, hang or crash
(HDF5 1.14, found by `scripts/fuzz`). This reader needs only a small part of the format (HDF5 File Format
Specification 3.0, III.E "Disk Format: Level 1E - Global Heap", and VIII.B on references to it).
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import h5py

REFERENCE = struct.Struct("<IQI")  # length, address of the collection, number in the collection
COLLECTION = struct.Struct("<4sB3xQ")  # signature, version, size in bytes
OBJECT = struct.Struct("<HH4xQ")  # number, count of references, size in bytes
MOST_BYTES = 2**26
"""Maximum size of all names together."""
NOWHERE = 2**64 - 1
LONGEST = 1000
"""Maximum length of a name."""


def read_names(dataset: h5py.Dataset, path: Path) -> list[str]:
    """Read the texts of a dataset of variable length, in order.

    Raises:
        ValueError: The text is damaged, or stored in an unsupported way.
    """
    references = _references(dataset, path)
    if len(references) != REFERENCE.size * dataset.size:
        raise ValueError("its values are not contiguous")
    with path.open("rb") as stream:
        heap = _Heap(stream, path.stat().st_size)
        return [heap.text(*reference) for reference in REFERENCE.iter_unpack(references)]


def _references(dataset: h5py.Dataset, path: Path) -> bytes:
    """Read the reference of each text, as stored in the file."""
    file, creation = dataset.file.id.get_create_plist(), dataset.id.get_create_plist()
    if file.get_sizes() != (8, 8) or file.get_userblock():
        raise ValueError("the addresses in the file are not 8 bytes long")
    if dataset.chunks is None:
        start = dataset.id.get_offset()
        if start is None:
            raise ValueError("its values are not in the file")
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read(REFERENCE.size * dataset.size)
    filters = [creation.get_filter(number)[0] for number in range(creation.get_nfilters())]
    split = dataset.ndim != 1 and dataset.shape[1:] != dataset.chunks[1:]
    if split or filters not in ([], [h5py.h5z.FILTER_DEFLATE]):
        raise ValueError("it is compressed; write text of a fixed length")
    parts, size = [], REFERENCE.size * dataset.chunks[0]
    for first in range(0, dataset.shape[0], dataset.chunks[0]):
        _, part = dataset.id.read_direct_chunk((first,) + (0,) * (dataset.ndim - 1))
        part = zlib.decompressobj().decompress(part, size) if filters else part
        parts.append(part[: REFERENCE.size * min(dataset.chunks[0], dataset.shape[0] - first)])
    return b"".join(parts)


class _Heap:
    """Collections of a file's global heap, each read once."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size, self._left = stream, size, min(size, MOST_BYTES)
        self._collections: dict[int, dict[int, bytes]] = {}

    def text(self, length: int, address: int, number: int) -> str:
        if address in (0, NOWHERE) or not length:
            return ""
        if length > LONGEST:
            raise ValueError(f"a name of {length} letters")
        if address not in self._collections:
            self._collections[address] = self._collection(address)
        if number not in self._collections[address]:
            raise ValueError("a name that is not in the file")
        return self._collections[address][number][:length].rstrip(b"\x00").decode("utf-8", "replace")

    def _collection(self, address: int) -> dict[int, bytes]:
        """Read the objects of a collection by number, each up to the longest name."""
        if address > self._size - COLLECTION.size:
            raise ValueError("a name beyond the file's end")
        self._stream.seek(address)
        signature, version, size = COLLECTION.unpack(self._stream.read(COLLECTION.size))
        if signature != b"GCOL" or version != 1 or not COLLECTION.size < size <= self._left:
            raise ValueError("a damaged list of names")
        self._left -= size  # collections do not overlap
        content, at, found = self._stream.read(size - COLLECTION.size), 0, dict[int, bytes]()
        while at + OBJECT.size <= len(content):
            number, _, length = OBJECT.unpack_from(content, at)
            at += OBJECT.size
            if not number:  # free space
                break
            found[number] = content[at : at + min(length, LONGEST)]
            at += -(-length // 8) * 8
        return found


def is_variable(dtype: Any) -> bool:
    """Check for text of variable length."""
    text = h5py.check_string_dtype(dtype)
    return text is not None and text.length is None
