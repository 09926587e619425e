"""SHA-256 of files: of the whole content, or of a sample that takes milliseconds."""

from __future__ import annotations

import hashlib
from pathlib import Path

PIECES, PIECE_BYTES = 64, 2**14
"""Number of pieces of a sample, spread evenly over a file, and the size of each in bytes."""


def whole_sha256(file: Path) -> str:
    """Hash the whole content of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sampled_sha256(file: Path) -> str:
    """Hash the size of a file and pieces of it, the first and the last among them."""
    size = file.stat().st_size
    found = hashlib.sha256(str(size).encode())
    last = max(0, size - PIECE_BYTES)
    with file.open("rb") as stream:
        for place in sorted({last * number // (PIECES - 1) for number in range(PIECES)}):
            stream.seek(place)
            found.update(stream.read(PIECE_BYTES))
    return found.hexdigest()
