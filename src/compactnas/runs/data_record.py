"""Record of the data of a run: where it is, and fingerprints that tell whether it or its split has changed.

A config may name its data relative to the folder in which the command was given. The run keeps the whole path, and the
path relative to its own folder, so that it finds its data from any folder, and after both have been moved together.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from compactnas.config import RunConfig
from compactnas.data import Dataset
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.io.paths import exists

FILE = "data_fingerprint.json"
SAMPLED = 64
"""Number of patches, spread over the training part, whose pixels count in the fingerprint."""


@dataclass(frozen=True)
class DataRecord:
    """Record of the data of a run.

    Attributes:
        relative: Path of the data relative to the folder of the run; empty if there is none.
        patches: Number of patches.
        labels_sha256: Hash of the labels and of the names of bands and classes.
        split_sha256: Hash of the rows of each part.
        pixels_sha256: Hash of a sample of the training part's pixels.
    """

    relative: str
    patches: int
    labels_sha256: str
    split_sha256: str
    pixels_sha256: str

    @classmethod
    def of(cls, data: Dataset, path: str, folder: Path) -> DataRecord:
        """Describe opened data at a path, for a run in a folder."""
        facts = data.source.facts
        train = data.parts["train"]  # pixels of the test part are not read
        rows = train[np.unique(np.linspace(0, len(train) - 1, SAMPLED).astype(np.int64))] if len(train) else train
        labels = hashlib.sha256(repr((facts.bands, facts.classes, facts.patch_px)).encode())
        labels.update(facts.labels.astype(np.int64).tobytes())
        pixels = np.ascontiguousarray(data.source.batch(rows)[0]).tobytes() if len(rows) else b""
        split = hashlib.sha256()
        for part, members in sorted(data.parts.items()):
            split.update(f"{part} {len(members)} ".encode() + members.astype(np.int64).tobytes())
        try:
            relative = os.path.relpath(path, folder) if path else ""
        except ValueError:  # another drive
            relative = ""
        hashes = labels.hexdigest(), split.hexdigest(), hashlib.sha256(pixels).hexdigest()
        return cls(relative, len(facts.labels), *hashes)

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
        """Raise a `UserError` if the data, or its split, has changed since the run began."""
        again = "or choose a new folder"
        what = ""
        if self.labels_sha256 != now.labels_sha256:
            more = f"{self.patches} patches then, {now.patches} now"
            what = more if self.patches != now.patches else "other names or labels"
        elif self.split_sha256 != now.split_sha256:
            raise UserError(
                f"{folder}: its data is split otherwise than when the run began, by another version or another file "
                f"data.split_csv; use the same, {again}"
            )
        elif self.pixels_sha256 != now.pixels_sha256:
            what = "other pixels"
        if what:
            raise UserError(
                f"{folder}: its data {path} has changed since the run began ({what}); bring the old data back, {again}"
            )


def located(config: RunConfig, folder: Path) -> RunConfig:
    """Find the data of a run: at its path, or where it lay relative to the folder of the run."""
    path, record = config.data.path, DataRecord.read(folder)
    if not path or exists(path) or record is None or not record.relative:
        return config
    beside = (folder.absolute() / record.relative).resolve()
    return replace(config, data=replace(config.data, path=str(beside))) if beside.exists() else config
