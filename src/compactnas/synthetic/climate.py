"""Traits of a city: latitude, sun, plants, building materials and atmosphere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from compactnas.synthetic.materials import ROOFS, Floats, Vegetation, city_spectra

Biome = Literal["temperate", "mediterranean", "arid", "tropical", "boreal"]
BIOMES: tuple[Biome, ...] = ("temperate", "mediterranean", "arid", "tropical", "boreal")
_LATITUDES: dict[Biome, tuple[float, float]] = {
    "temperate": (38, 54),
    "mediterranean": (30, 42),
    "arid": (18, 33),
    "tropical": (2, 20),
    "boreal": (52, 60),
}
_SYLLABLES = (
    (
        "Ar",
        "Bel",
        "Cor",
        "Dun",
        "El",
        "Fal",
        "Gar",
        "Hol",
        "Ist",
        "Jor",
        "Kal",
        "Lor",
        "Mar",
        "Nev",
        "Or",
        "Pel",
        "Quin",
        "Ros",
        "Sal",
        "Tor",
    ),
    ("a", "e", "i", "o", "u", "an", "en", "in", "on", "ar"),
    ("burg", "dale", "field", "grad", "ham", "mouth", "nova", "polis", "stad", "ville"),
)


@dataclass(frozen=True)
class Climate:
    """Traits that are drawn once for each city.

    Attributes:
        name: Made-up name; differs between seeds that are less than 2,000 apart.
        biome: Kind of climate.
        latitude_deg: Latitude, positive in the north.
        epsg: EPSG code of the UTM zone (WGS 84).
        sun_azimuth_deg: Azimuth of the sun, clockwise from north.
        sun_elevation_deg: Elevation of the sun above the horizon.
        orientation_rad: Main direction of the streets.
        plants: State of the vegetation.
        conifers: Share of needle-leaved trees.
        greenery: Number of trees relative to the usual number, 0.4 to 2.
        spectra: Reflectance of each material, (material, band).
        roofs: Share of each roof material among low, high and industrial buildings, (3, roof).
        haze: Aerosol optical depth at 550 nm.
        relief: Strength of the hills' shading.
        rock: Share of rock in LCZ E, 0 to 1; the rest is paved.
        gain: Gain of sensor and light together, (band,).
        noise: Standard deviation of the sensor's noise in reflectance.
        mixing: Largest share of a zone that is painted as another class.
        scale: Size of lots, blocks and fields relative to the usual size.
    """

    name: str
    biome: Biome
    latitude_deg: float
    epsg: int
    sun_azimuth_deg: float
    sun_elevation_deg: float
    orientation_rad: float
    plants: Vegetation
    conifers: float
    greenery: float
    spectra: Floats
    roofs: Floats
    haze: float
    relief: float
    rock: float
    gain: Floats
    noise: float
    mixing: float
    scale: float


def draw_climate(seed: int) -> Climate:
    """Draw the traits of the city of this seed."""
    rng = np.random.default_rng((seed, 1))
    biome = BIOMES[int(rng.choice(len(BIOMES), p=(0.32, 0.22, 0.16, 0.18, 0.12)))]
    latitude = float(rng.uniform(*_LATITUDES[biome])) * (-1 if rng.random() < 0.25 and biome != "boreal" else 1)
    day = _seen_on(rng, latitude)
    azimuth, elevation = sun(latitude, day)
    summer = 0.5 + 0.5 * math.cos(2 * math.pi * (day - 196) / 365) * (1 if latitude >= 0 else -1)
    plants = _vegetation(rng, biome, summer)
    zone = int(rng.integers(1, 61))
    return Climate(
        name=city_name(seed),
        biome=biome,
        latitude_deg=latitude,
        epsg=(32600 if latitude >= 0 else 32700) + zone,
        sun_azimuth_deg=azimuth,
        sun_elevation_deg=elevation,
        orientation_rad=float(rng.uniform(0, math.pi / 2)),
        plants=plants,
        conifers={"temperate": 0.3, "mediterranean": 0.4, "arid": 0.2, "tropical": 0.0, "boreal": 0.8}[biome]
        * float(rng.uniform(0, 1.2)),
        greenery=math.exp(float(rng.uniform(-0.9, 0.7))),
        spectra=city_spectra(rng, plants, turbidity=float(rng.beta(1.2, 3))),
        roofs=np.stack([rng.dirichlet(np.array(prior)) for prior in _ROOF_PRIORS]).astype(np.float32),
        haze=float(rng.gamma(2.0, 0.11) + 0.03),
        relief=float(rng.uniform(0, 1)),
        rock=float(rng.random()),
        gain=np.exp(rng.normal(0, 0.07) + rng.normal(0, 0.03, 10)).astype(np.float32),
        noise=float(rng.uniform(0.0008, 0.0025)),
        mixing=float(rng.uniform(0.1, 0.3)),
        scale=math.exp(float(rng.uniform(-0.22, 0.22))),
    )


# Concentrations in the order of ROOFS: tile, concrete tile, shingle, metal, bitumen, white, concrete, rust.
_ROOF_PRIORS = (
    (0.9, 0.6, 0.6, 0.4, 0.2, 0.15, 0.3, 0.15),
    (0.4, 0.4, 0.3, 0.3, 0.7, 0.3, 0.6, 0.05),
    (0.1, 0.3, 0.2, 0.9, 0.6, 0.7, 0.5, 0.3),
)
assert all(len(prior) == len(ROOFS) for prior in _ROOF_PRIORS)


def city_name(seed: int) -> str:
    """Make a name from syllables; neighbouring seeds get names that sound different."""
    first, middle, last = _SYLLABLES
    index = seed * 1237 % (len(first) * len(middle) * len(last))
    head, rest = divmod(index, len(middle) * len(last))
    joint, tail = divmod(rest, len(last))
    return first[head] + middle[joint] + last[tail]


def sun(latitude_deg: float, day: int) -> tuple[float, float]:
    """Compute azimuth and elevation of the sun in degrees at 10:30 local solar time, Sentinel-2's overpass.

    The declination is by Cooper's formula, the rest by the spherical triangle.
    """
    declination = math.radians(23.45) * math.sin(2 * math.pi * (284 + day) / 365)
    latitude, hour = math.radians(latitude_deg), math.radians(-22.5)
    sine = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(hour)
    elevation = math.asin(sine)
    east = -math.cos(declination) * math.sin(hour)
    north = math.cos(latitude) * math.sin(declination) - math.sin(latitude) * math.cos(declination) * math.cos(hour)
    return math.degrees(math.atan2(east, north)) % 360, math.degrees(elevation)


def _seen_on(rng: np.random.Generator, latitude: float) -> int:
    """Draw a day of the year on which the sun is at least 25 degrees above the horizon."""
    while True:
        day = int(rng.integers(1, 366))
        if sun(latitude, day)[1] >= 25:
            return day


def _vegetation(rng: np.random.Generator, biome: Biome, summer: float) -> Vegetation:
    """Draw the state of the plants by climate and season; `summer` is 0 in midwinter and 1 in midsummer."""
    jitter = rng.uniform(-0.15, 0.15, 4)
    if biome in ("temperate", "boreal"):
        leaves = 1 / (1 + math.exp(-12 * (summer - 0.45)))
        state = (leaves, 0.35 + 0.6 * summer, 0.2 + 0.6 * leaves, 0.3 + 0.6 * summer)
    elif biome == "mediterranean":
        state = (0.55 + 0.3 * summer, 0.9 - 0.75 * summer, 0.65 - 0.2 * summer, 0.8 - 0.5 * summer)
    elif biome == "arid":
        state = (0.5, 0.15, 0.25, 0.6)
    else:
        rain = float(rng.random())
        state = (0.75 + 0.2 * rain, 0.3 + 0.6 * rain, 0.5 + 0.4 * rain, 0.4 + 0.5 * rain)
    leaves_, grass, shrub, crop = (
        min(max(value + float(j), 0.05), 1.0) for value, j in zip(state, jitter, strict=True)
    )
    return Vegetation(leaves_, grass, shrub, crop)
