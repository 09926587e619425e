"""All that a map depends on, and what tells two of them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compactnas.data.packing.pack import fingerprint_of
from compactnas.export.manifest import EngineName
from compactnas.mapping.config import MapConfig, Reading
from compactnas.version import __version__

FORMAT = "compactnas-map/1"
Warn = Callable[[str], None]
"""Hears in a line what was assumed, or looks wrong."""

MODEL_FILES = (".safetensors", ".onnx", ".json")
"""Ends of the files that can make a model what it is."""
BESIDE = ("evaluation.json", "warnings.json", "environment.json", "parity.json", "item.json", "manifest.json")
"""Files of a model's folder that say something of it, and can be written again."""


@dataclass(frozen=True)
class MapJob:
    """All that a map depends on, as plain values: it can be sent to another process.

    Attributes:
        model: folder of a run or an export.
        engine: that computes it.
        threads: Number of threads of the engine; 0 leaves the engine's choice.
        scenes: one, or several seasons of the same ground.
        readings: how each is read.
        config: Options of the map.
    """

    model: Path
    engine: EngineName
    threads: int
    scenes: tuple[Path, ...]
    readings: tuple[Reading, ...]
    config: MapConfig

    def fingerprints(self) -> dict[str, str]:
        """Hash everything that two maps can differ in; the number of threads changes nothing."""
        masks = [Path(reading.mask) for reading in self.readings if reading.mask]
        reading = asdict(self.readings[0]) | {"mask": ""}
        how = {"format": FORMAT, "version": __version__, "engine": self.engine, "reading": reading}
        return {
            "model": _of_model(self.model),
            "scene": digest([fingerprint_of(path, {}) for path in (*self.scenes, *masks)]),
            "options": digest(how | asdict(self.config)),
        }


def digest(values: Any) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _of_model(folder: Path) -> str:
    files = sorted(file for file in folder.iterdir() if file.suffix in MODEL_FILES and file.name not in BESIDE)
    return digest({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()})
