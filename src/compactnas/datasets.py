"""Sets of patches in memory to try things with."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.config import DataConfig
from compactnas.data import Dataset, open_dataset
from compactnas.synthetic import write_world


@dataclass(frozen=True)
class Patches:
    """Labelled patches in memory.

    Attributes:
        images: Reflectance, float32, (patches, bands, rows, columns).
        labels: Name of the class of each patch.
        groups: City of each patch.
        bands: Names of the bands.
    """

    images: NDArray[np.float32]
    labels: NDArray[Any]
    groups: NDArray[Any]
    bands: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def synthetic(
    patches: int = 1200, *, cities: int = 4, test_cities: int = 2, scene_px: int = 320, seed: int = 0
) -> tuple[Patches, Patches]:
    """Make patches of Local Climate Zones from a procedural world, as `compactnas synth` does. No place is real.

    Args:
        patches: Number of training patches.
        cities: Number of cities of the training part.
        test_cities: Number of other cities, of the test part.
        scene_px: Side of the scene of a city, in pixels of 10 m.
        seed: Random seed of the world.

    Returns:
        Training patches, and test patches of other cities.
    """
    with tempfile.TemporaryDirectory(prefix="compactnas-world-") as folder:
        world = Path(folder) / "world"
        write_world(world, cities=cities, test_cities=test_cities, patches=patches, scene_px=scene_px, seed=seed)
        data = open_dataset(DataConfig(path=str(world)))
        return _part(data, "train"), _part(data, "test")


def _part(data: Dataset, part: str) -> Patches:
    facts, rows = data.source.facts, data.parts[part]
    images, labels = data.source.batch(rows)
    assert facts.groups is not None
    return Patches(images.astype(np.float32), np.array(facts.classes)[labels], facts.groups[rows], facts.bands)
