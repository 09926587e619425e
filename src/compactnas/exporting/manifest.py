"""`manifest.json` of an export: bands and classes of the network, and its files with their checksums."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from compactnas.errors import UserError
from compactnas.exporting.formats import FORMATS
from compactnas.exporting.names import CARD, GENOTYPE, ITEM, MODEL, PARITY
from compactnas.io.atomic import read_json, write_json
from compactnas.runs.task import Task

NAME, FORMAT = "manifest.json", "compactnas-export/1"

MOST_BYTES = 2**30
"""Largest size of a file; the weights of the largest possible network are smaller."""


@dataclass(frozen=True)
class Manifest:
    """Contents of an export.

    Attributes:
        task: Bands, classes and patch side of the network.
        files: Name of each file -> its SHA-256 in hexadecimal.
    """

    task: Task
    files: dict[str, str]

    @classmethod
    def of(cls, folder: Path, task: Task) -> Manifest:
        """Make the manifest of the files in a folder."""
        present = [name for name in known_files() if (folder / name).exists()]
        return cls(task, {name: _digest((folder / name).read_bytes()) for name in present})

    def write(self, folder: Path) -> None:
        """Write the manifest to the folder of its files."""
        files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha} for name, sha in self.files.items()}
        write_json(folder / NAME, {"format": FORMAT, "task": self.task.to_json(), "files": files})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check the manifest of an export. Its files are checked when they are read.

        Raises:
            UserError: The file is not a manifest, or lists a file that no export has.
        """
        file = folder / NAME
        raw = read_json(file, "make one with `compactnas export`")
        if not isinstance(raw, dict) or raw.get("format") != FORMAT or not isinstance(raw.get("files"), dict):
            raise UserError(f'{file}: not an export\'s manifest; its "format" must be "{FORMAT}"')
        for name, entry in raw["files"].items():
            if name not in known_files():
                raise UserError(f"{file}: lists {name[:80]!r}, which is not a file of an export; export again")
            if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
                raise UserError(f"{file}: has no checksum of {name}; export again")
        return cls(Task.from_json(raw.get("task"), str(file)), {n: e["sha256"] for n, e in raw["files"].items()})

    def content(self, folder: Path, name: str) -> bytes:
        """Read one of the files and check that it is complete and unchanged.

        Raises:
            UserError: The file is not in the export, is too large, or does not match its checksum.
        """
        file = folder / name
        if name not in self.files:
            raise UserError(f"{folder}: this export has no {name}; export again, or choose another engine")
        if not file.is_file() or file.is_symlink():
            raise UserError(f"{file}: is missing, or is a link; export again")
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file}: is larger than {MOST_BYTES >> 20} MiB; export again")
        content = file.read_bytes()
        if _digest(content) != self.files[name]:
            raise UserError(f"{file}: does not match its checksum in {NAME} (cut off, or changed); export again")
        return content


def known_files() -> tuple[str, ...]:
    """Names of all files that an export may hold besides its manifest."""
    networks = tuple(known.file for known in FORMATS.values())
    return (*networks, MODEL, GENOTYPE, PARITY, CARD, ITEM)


def is_export(folder: Path) -> bool:
    """Check whether a folder has the manifest of an export."""
    return (folder / NAME).is_file()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
