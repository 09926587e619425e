"""Record of the data of a run: where it is, and a fingerprint that tells whether it has changed.

A config may name its data relative to the folder in which the command was given. The run keeps the whole path, and the
path relative to its own folder, so that it finds its data from any folder, and after both have been moved together.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from compactnas.config import DataConfig, RunConfig
from compactnas.data.checksums import sampled_sha256
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json

FILE = "data_source.json"
SAMPLED_FILES = 256
"""Largest number of files whose content is sampled; of all others, only names and sizes count."""
PATHS = ("path", "labels", "split_csv")
"""Fields of a `DataConfig` that hold a path."""


@dataclass(frozen=True)
class DataRecord:
    """Record of the data of a run.

    Attributes:
        relative: Path of the data relative to the folder of the run; empty on another drive.
        files: Number of files.
        bytes: Size of all files together.
        sha256: Hash of names, sizes and samples of the content.
    """

    relative: str
    files: int
    bytes: int
    sha256: str

    @classmethod
    def of(cls, config: DataConfig, folder: Path) -> DataRecord:
        """Look at the data of a config, for a run in a folder."""
        root = Path(config.path)
        files = sorted(file for file in root.rglob("*") if file.is_file()) if root.is_dir() else [root]
        files += [Path(extra) for extra in (config.labels, config.split_csv) if extra]
        found = [(str(file.relative_to(root)) if root in file.parents else file.name, file) for file in files]
        sizes = [file.stat().st_size for file in files]
        sampled = files[:: max(1, len(files) // SAMPLED_FILES)]
        content = [[name for name, _ in found], sizes, [sampled_sha256(file) for file in sampled]]
        try:
            relative = os.path.relpath(root, folder)
        except ValueError:  # another drive
            relative = ""
        return cls(relative, len(files), sum(sizes), hashlib.sha256(json.dumps(content).encode()).hexdigest())

    def write(self, folder: Path) -> None:
        """Write the record into the folder of a run."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> DataRecord | None:
        """Read the record of a run; None if it has none."""
        if not (folder / FILE).exists():
            return None
        values = read_json(folder / FILE, "remove it, and the data is not checked")
        try:
            return cls(**values)
        except TypeError:
            raise UserError(f"{folder / FILE}: not a record of data; remove it, and the data is not checked") from None

    def require_same(self, now: DataRecord, folder: Path, path: str) -> None:
        """Raise a `UserError` if the data has changed since the run began."""
        if self.sha256 != now.sha256:
            before, after = (f"{one.files} files of {one.bytes:,} bytes" for one in (self, now))
            what = f"{before} then, {after} now" if before != after else "other content in files of the same size"
            raise UserError(
                f"{folder}: its data {path} has changed since the run began ({what}); bring the old data back, or "
                "choose a new folder"
            )


def with_whole_paths(config: RunConfig) -> RunConfig:
    """Make the paths of a config independent of the current folder."""
    data: dict[str, Any] = {
        name: str(Path(value).absolute()) for name in PATHS if (value := getattr(config.data, name))
    }
    teachers = tuple(str(Path(teacher).absolute()) for teacher in config.train.teachers)
    return replace(config, data=replace(config.data, **data), train=replace(config.train, teachers=teachers))


def located(config: RunConfig, folder: Path) -> RunConfig:
    """Find the data of a run: at its path, or where it lay relative to the folder of the run."""
    path, record = config.data.path, DataRecord.read(folder)
    if not path or Path(path).exists() or record is None or not record.relative:
        return config
    beside = (folder.absolute() / record.relative).resolve()
    return replace(config, data=replace(config.data, path=str(beside))) if beside.exists() else config
