"""Reflectance of materials: spectra in the ten Sentinel-2 bands, and their variation by city and zone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Number = float | int
"""A float or an int; run-time type checks do not accept an int as a float."""

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
WAVELENGTHS_UM = np.array([0.490, 0.560, 0.665, 0.705, 0.740, 0.783, 0.842, 0.865, 1.610, 2.190], np.float32)
"""Centre of each band (Sentinel-2 User Handbook)."""

MEASURED: dict[str, tuple[float, ...]] = {
    "asphalt": (0.047, 0.051, 0.057, 0.060, 0.064, 0.069, 0.075, 0.079, 0.122, 0.106),
    "road": (0.084, 0.095, 0.102, 0.103, 0.104, 0.106, 0.107, 0.108, 0.140, 0.139),
    "sidewalk": (0.207, 0.252, 0.279, 0.286, 0.295, 0.305, 0.307, 0.308, 0.398, 0.422),
    "driveway": (0.366, 0.391, 0.412, 0.425, 0.435, 0.432, 0.420, 0.413, 0.425, 0.404),
    "clay_tile": (0.055, 0.088, 0.196, 0.220, 0.243, 0.252, 0.249, 0.247, 0.539, 0.578),
    "concrete_tile": (0.085, 0.095, 0.105, 0.108, 0.112, 0.114, 0.114, 0.113, 0.113, 0.116),
    "composite_shingle": (0.105, 0.125, 0.164, 0.168, 0.168, 0.167, 0.165, 0.164, 0.155, 0.141),
    "metal_roof": (0.187, 0.223, 0.201, 0.210, 0.212, 0.206, 0.198, 0.194, 0.270, 0.250),
    "soil": (0.118, 0.182, 0.280, 0.308, 0.331, 0.350, 0.358, 0.360, 0.480, 0.424),
    "sand": (0.193, 0.244, 0.278, 0.284, 0.291, 0.298, 0.300, 0.301, 0.378, 0.374),
    "gravel_rock": (0.117, 0.138, 0.157, 0.169, 0.178, 0.181, 0.179, 0.179, 0.231, 0.216),
    "canopy": (0.031, 0.076, 0.028, 0.124, 0.377, 0.443, 0.445, 0.445, 0.172, 0.060),
    "dry_litter": (0.060, 0.090, 0.135, 0.164, 0.194, 0.206, 0.228, 0.241, 0.336, 0.230),
    "water": (0.040, 0.040, 0.025, 0.020, 0.015, 0.014, 0.013, 0.012, 0.006, 0.004),
}
"""Surface reflectance: medians of earthlib's library (canopy from PROSAIL); water is an estimate."""


class Material(IntEnum):
    """Cover of a fine pixel."""

    ASPHALT = 0
    ROAD = 1
    CONCRETE = 2
    WHITE = 3
    CLAY_TILE = 4
    CONCRETE_TILE = 5
    SHINGLE = 6
    METAL = 7
    BITUMEN = 8
    RUST = 9
    SOIL = 10
    SAND = 11
    ROCK = 12
    DIRT = 13
    BROADLEAF = 14
    CONIFER = 15
    SHRUB = 16
    GRASS = 17
    CROP = 18
    STUBBLE = 19
    WATER = 20
    COAL = 21


ROOFS = (
    Material.CLAY_TILE,
    Material.CONCRETE_TILE,
    Material.SHINGLE,
    Material.METAL,
    Material.BITUMEN,
    Material.WHITE,
    Material.CONCRETE,
    Material.RUST,
)
GREEN = (Material.BROADLEAF, Material.CONIFER, Material.SHRUB, Material.GRASS, Material.CROP)
_GREEN_ROWS = np.array(GREEN)


@dataclass(frozen=True)
class Vegetation:
    """State of the plants in a season, each 0 (bare, dry) to 1 (full, green).

    Attributes:
        leaves: Leaf state of broadleaved trees.
        grass: Greenness of grass.
        shrub: Greenness of bushes.
        crop: Greenness of crops.
    """

    leaves: float
    grass: float
    shrub: float
    crop: float


def _spectrum(name: str) -> NDArray[np.float64]:
    return np.array(MEASURED[name])


def city_spectra(rng: np.random.Generator, plants: Vegetation, turbidity: float) -> Floats:
    """Draw the reflectance of each material in one city, (material, band).

    Each material's median in the library is changed by a random brightness and a random slope over wavelength. They
    vary far more between cities than the means of two built classes differ, so that the reflectance of a roof
    identifies the city, not the zone.
    """
    spectra = _base(rng, plants, turbidity)
    return vary(rng, spectra, brightness=0.3, slope=0.25)


def vary(rng: np.random.Generator, spectra: Floats, *, brightness: float, slope: float) -> Floats:
    """Vary the materials a little by a log-normal brightness and slope, drawn for each material.

    Plants share a part of their draws, so that a meadow and its trees show the same season.
    """
    count = len(spectra)
    tilt = (np.log(WAVELENGTHS_UM) - np.log(0.7)).astype(np.float32)
    gain, lean = rng.normal(0, brightness, (count, 1)), rng.normal(0, slope, (count, 1))
    gain[_GREEN_ROWS] = 0.4 * gain[_GREEN_ROWS] + rng.normal(0, 0.7 * brightness)
    lean[_GREEN_ROWS] = 0.4 * lean[_GREEN_ROWS] + rng.normal(0, 0.7 * slope)
    varied = spectra * np.exp(np.clip(gain + lean * tilt, -0.9, 0.9))
    return np.asarray(np.clip(varied, 0.002, 0.85), np.float32)


def _base(rng: np.random.Generator, plants: Vegetation, turbidity: float) -> Floats:
    canopy, litter, soil, rock = (_spectrum(name) for name in ("canopy", "dry_litter", "soil", "gravel_rock"))
    ground = soil * rng.uniform(0.45, 1.0) + rock * rng.uniform(0.0, 0.4)
    wet = np.exp(-0.35 * (WAVELENGTHS_UM - 0.4) * rng.uniform(0, 1.5))

    def plant(green: float, vigour: float, below: NDArray[np.float64]) -> NDArray[np.float64]:
        return green * canopy * vigour + (1 - green) * below

    table: dict[Material, NDArray[np.float64]] = {
        Material.ASPHALT: _spectrum("asphalt"),
        Material.ROAD: _spectrum("road"),
        Material.CONCRETE: _spectrum("sidewalk"),
        Material.WHITE: _spectrum("driveway") * rng.uniform(0.9, 1.3),
        Material.CLAY_TILE: _spectrum("clay_tile"),
        Material.CONCRETE_TILE: _spectrum("concrete_tile"),
        Material.SHINGLE: _spectrum("composite_shingle"),
        Material.METAL: _spectrum("metal_roof"),
        Material.BITUMEN: _spectrum("asphalt") * 1.1,
        Material.RUST: 0.6 * _spectrum("clay_tile") + 0.3 * _spectrum("metal_roof"),
        Material.SOIL: ground * wet,
        Material.SAND: _spectrum("sand") * rng.uniform(0.8, 1.25),
        Material.ROCK: rock * rng.uniform(0.8, 1.6),
        Material.DIRT: 0.6 * ground + 0.4 * rock,
        Material.BROADLEAF: plant(plants.leaves, rng.uniform(0.75, 1.2), 0.8 * litter) + rng.uniform(0, 0.15) * litter,
        Material.CONIFER: 0.6 * canopy * rng.uniform(0.8, 1.2) + rng.uniform(0.05, 0.2) * litter,
        Material.SHRUB: plant(plants.shrub, rng.uniform(0.6, 0.85), 0.8 * litter),
        Material.GRASS: plant(plants.grass, rng.uniform(0.7, 1.0), 1.1 * litter) + 0.04 * ground,
        Material.CROP: plant(plants.crop, rng.uniform(0.8, 1.1), 1.3 * litter),
        Material.STUBBLE: 0.8 * litter + 0.3 * ground,
        Material.WATER: _spectrum("water") * rng.uniform(0.7, 1.5)
        + turbidity * 0.35 * soil * np.exp(-2.2 * (WAVELENGTHS_UM - 0.5)),
        Material.COAL: 0.5 * _spectrum("asphalt"),
    }
    return np.stack([table[material] for material in Material]).astype(np.float32)
