"""Names and checksums of label files, to compare the reference of a map with the labels of training."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from compactnas.errors import UserError

MOST_FILES, LONGEST_NAME = 10_000, 1000
SHA256 = re.compile("[0-9a-f]{64}")


class LabelFile(NamedTuple):
    """A file of labels.

    Attributes:
        name: Name of the file, without its folder.
        sha256: Checksum of its content, in hexadecimal.
    """

    name: str
    sha256: str


def label_file(file: Path) -> LabelFile:
    """Name a file and compute its checksum.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return LabelFile(file.name, hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the spelling") from None


def to_json(files: Sequence[LabelFile]) -> list[dict[str, str]]:
    """Label files as JSON values."""
    return [file._asdict() for file in files]


def from_json(raw: Any, where: str) -> tuple[LabelFile, ...]:
    """Check label files from JSON values; `where` names their place in error messages.

    Raises:
        UserError: The values are not a list of names and checksums.
    """
    entries: list[Any] = raw if isinstance(raw, list) and len(raw) <= MOST_FILES else [None]
    return tuple(_entry(entry, where) for entry in entries)


def _entry(raw: Any, where: str) -> LabelFile:
    if not isinstance(raw, dict) or set(raw) != {"name", "sha256"} or not all(isinstance(v, str) for v in raw.values()):
        raise UserError(f"{where} must be a list of label files with name and sha256; make the file again")
    if len(raw["name"]) > LONGEST_NAME or not SHA256.fullmatch(raw["sha256"]):
        raise UserError(f"{where} must hold short names and checksums of 64 hexadecimal digits; make the file again")
    return LabelFile(raw["name"], raw["sha256"])
