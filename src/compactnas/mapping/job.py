"""Inputs and options of a map, and their fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compactnas.config.engine import EngineName
from compactnas.config.reading import Reading
from compactnas.data.packing.pack import fingerprint_of
from compactnas.mapping.config import MapConfig
from compactnas.scenes.kinds import VRT
from compactnas.version import __version__

FORMAT = "compactnas-map/1"
Warn = Callable[[str], None]
"""Function that receives an assumption or a likely mistake as one line of text."""

MODEL_FILES = (".safetensors", ".onnx", ".json")
"""Suffixes of the files that can define a model."""
BESIDE = (
    *("evaluation.json", "examples.json", "warnings.json", "environment.json", "data_summary.json"),
    "data_fingerprint.json",
    *("parity.json", "item.json", "manifest.json"),
)
"""Files in the folder of a model that describe it and can be rewritten; they do not count in its fingerprint."""


@dataclass(frozen=True)
class MapJob:
    """Inputs and options of a map, as plain values that can be sent to another process.

    Attributes:
        model: Folder of a run, an export or an adopted network.
        engine: Name of the engine that runs the model.
        threads: Number of threads of the engine; 0 leaves the choice to the engine.
        scenes: Scene, or several seasons of the same ground.
        readings: Reading options of each scene.
        config: Options of the map.
    """

    model: Path
    engine: EngineName
    threads: int
    scenes: tuple[Path, ...]
    readings: tuple[Reading, ...]
    config: MapConfig

    def fingerprints(self) -> dict[str, str]:
        """Hash everything that can change a map; the number of threads does not count."""
        masks = [Path(reading.mask) for reading in self.readings if reading.mask]
        reading = asdict(self.readings[0]) | {"mask": ""}
        how = {"format": FORMAT, "version": __version__, "engine": self.engine, "reading": reading}
        return {
            "model": _of_model(self.model),
            "scene": digest([fingerprint_of(file, {}) for path in (*self.scenes, *masks) for file in _files_of(path)]),
            "options": digest(how | asdict(self.config)),
        }


def digest(values: Any) -> str:
    """Hash plain values with SHA-256."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _files_of(scene: Path) -> list[Path]:
    """List a scene and, if it is a mosaic, the files that it takes its pixels from."""
    if scene.suffix.lower() != VRT:
        return [scene]
    from compactnas.scenes.vrt import sources_of  # late, because few scenes are

    return [scene, *sources_of(scene)]


def _of_model(folder: Path) -> str:
    files = sorted(file for file in folder.iterdir() if file.suffix in MODEL_FILES and file.name not in BESIDE)
    return digest({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()})
