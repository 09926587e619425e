"""Canvas of fine pixels on which a zone is painted, with its tools: grids of lots, trees, noise.

Everything is computed for all pixels at once, as in a shader: each pixel computes the lot that it lies in, and the
random values of a lot are a hash of its number, so that no loop over houses is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compactnas.synthetic.climate import Climate
from compactnas.synthetic.materials import ROOFS, Floats, Material, Number

FINE_M = 2.5
"""Side of a fine pixel in metres: a quarter of Sentinel-2's 10 m."""

Mask = NDArray[np.bool_]
Ints = NDArray[np.int32]
Metres = Floats | Number
"""One length for all pixels, or one for each."""


def hashed(i: Ints, j: Ints, salt: int) -> Floats:
    """Return a number in [0, 1) for each pair of integers, the same for the same pair and salt."""
    with np.errstate(over="ignore"):
        h = i.astype(np.uint32) * np.uint32(374761393) + j.astype(np.uint32) * np.uint32(668265263)
        h += np.uint32(salt * 2246822519 & 0xFFFFFFFF)
        h ^= h >> np.uint32(13)
        h *= np.uint32(1274126177)
        h ^= h >> np.uint32(16)
        h *= np.uint32(2654435769)
        h ^= h >> np.uint32(15)
    return (h >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale_px: Number, octaves: int = 1) -> Floats:
    """Make smooth noise of about unit variance, with hills of `scale_px`; each octave halves scale and height."""
    total = np.zeros(shape, np.float32)
    weight, norm = 1.0, 0.0
    for _ in range(octaves):
        rows, cols = (math.ceil(side / scale_px) + 4 for side in shape)
        coarse = Image.fromarray(rng.standard_normal((rows, cols)).astype(np.float32))
        box = (1.5, 1.5, 1.5 + shape[1] / scale_px, 1.5 + shape[0] / scale_px)
        fine = coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
        total += weight * np.asarray(fine, np.float32)
        norm += weight * weight
        weight, scale_px = weight / 2, max(scale_px / 2, 1.0)
    return total / np.float32(0.7 * math.sqrt(norm))


def _centre(lot: Ints, pitch: Number) -> Floats:
    return (lot.astype(np.float32) + np.float32(0.5)) * np.float32(pitch)


@dataclass(frozen=True)
class LotGrid:
    """Lots of equal size: for each pixel, its lot and its position in the lot.

    Attributes:
        i: Number of the lot along u.
        j: Number of the lot along v.
        du: Distance from the lot's centre along u in metres.
        dv: Distance from the lot's centre along v in metres.
        pitch_u: Side of a lot along u in metres.
        pitch_v: Side of a lot along v in metres.
        salt: Salt of the hash, so that each grid has other random values.
    """

    i: Ints
    j: Ints
    du: Floats
    dv: Floats
    pitch_u: Number
    pitch_v: Number
    salt: int

    def value(self, which: int) -> Floats:
        """Return the `which`-th random value in [0, 1) of each pixel's lot."""
        return hashed(self.i, self.j, self.salt + which)

    def between(self, which: int, low: Number, high: Number) -> Floats:
        """Return the `which`-th random value of each pixel's lot, between `low` and `high`."""
        return np.float32(low) + np.float32(high - low) * self.value(which)

    def box(self, half_u: Metres, half_v: Metres, at_u: Metres = 0.0, at_v: Metres = 0.0) -> Mask:
        """Mark a rectangle in each lot."""
        inside: Mask = (np.abs(self.du - at_u) < half_u) & (np.abs(self.dv - at_v) < half_v)
        return inside

    def interior(self, street_m: Number) -> Mask:
        """Mark each lot without the half streets around it."""
        return self.box((self.pitch_u - street_m) / 2, (self.pitch_v - street_m) / 2)

    def split(self, across: int, along: int, street_m: Number = 0.0) -> LotGrid:
        """Split the interior of each lot into `across` x `along` smaller lots."""
        wide, high = self.pitch_u - street_m, self.pitch_v - street_m
        pitch_u, pitch_v = wide / across, high / along
        a = np.clip(np.floor((self.du + wide / 2) / pitch_u), 0, across - 1).astype(np.int32)
        b = np.clip(np.floor((self.dv + high / 2) / pitch_v), 0, along - 1).astype(np.int32)
        du = self.du + np.float32(wide / 2) - _centre(a, pitch_u)
        dv = self.dv + np.float32(high / 2) - _centre(b, pitch_v)
        return LotGrid(self.i * across + a, self.j * along + b, du, dv, pitch_u, pitch_v, self.salt + 7919)


@dataclass
class Canvas:
    """Rectangle of fine pixels of one zone, which the zone's painter draws on.

    Attributes:
        x: Metres east of the scene's west edge, (row, column).
        y: Metres south of the scene's north edge, (row, column).
        rng: Random generator of the zone.
        style: Random generator of the class in this city, with the same draws in each zone: for example, how this
            city builds its suburbs.
        climate: Climate of the city.
        material: Material of each pixel.
        height_m: Height of the objects above ground.
        tone: Brightness relative to the material's spectrum; 1 is unchanged.
        building: Whether a pixel is part of a building or a tank.
    """

    x: Floats
    y: Floats
    rng: np.random.Generator
    style: np.random.Generator
    climate: Climate
    material: NDArray[np.uint8] = field(init=False)
    height_m: Floats = field(init=False)
    tone: Floats = field(init=False)
    building: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.material = np.full(self.x.shape, Material.SOIL, np.uint8)
        self.height_m = np.zeros(self.x.shape, np.float32)
        self.tone = np.ones(self.x.shape, np.float32)
        self.building = np.zeros(self.x.shape, np.bool_)

    def uniform(self, low: Number, high: Number) -> float:
        """Draw a value of the city's style for this class, with a little variation between zones."""
        share = float(self.style.random()) + 0.12 * float(self.rng.normal())
        return low + min(max(share, 0.0), 1.0) * (high - low)

    def chance(self, probability: Number) -> bool:
        """Draw a yes-or-no choice of the city's style for this class."""
        return bool(self.style.random() < probability)

    def turn(self) -> float:
        """Draw a direction in radians."""
        return float(self.rng.uniform(0, math.pi))

    def noise(self, scale_m: Number, octaves: int = 1) -> Floats:
        """Make smooth noise over the canvas, with hills of `scale_m`."""
        return smooth_noise(self.rng, self.x.shape, scale_m / FINE_M, octaves)

    def frame(
        self, turn_rad: Number | None = None, warp_m: Number = 0.0, warp_scale_m: Number = 250.0
    ) -> tuple[Floats, Floats]:
        """Compute coordinates along and across the streets, in metres at a city's usual scale; `warp_m` bends them.

        By default, the zone has about the city's orientation.
        """
        if turn_rad is None:
            turn_rad = self.climate.orientation_rad + float(self.rng.normal(0, 0.12))
        size = self.climate.scale
        c, s = np.float32(math.cos(turn_rad) / size), np.float32(math.sin(turn_rad) / size)
        u, v = c * self.x + s * self.y, c * self.y - s * self.x
        if warp_m > 0:
            u = u + np.float32(warp_m) * self.noise(warp_scale_m)
            v = v + np.float32(warp_m) * self.noise(warp_scale_m)
        return u, v

    def grid(self, u: Floats, v: Floats, pitch_u: Number, pitch_v: Number, stagger: Number = 0.0) -> LotGrid:
        """Make lots of `pitch_u` x `pitch_v` metres; `stagger` shifts every other row by that share of a lot."""
        j = np.floor(v / np.float32(pitch_v)).astype(np.int32)
        if stagger:
            u = u + np.float32(stagger * pitch_u) * (j & 1).astype(np.float32)
        i = np.floor(u / np.float32(pitch_u)).astype(np.int32)
        du = u - _centre(i, pitch_u)
        dv = v - _centre(j, pitch_v)
        return LotGrid(i, j, du, dv, pitch_u, pitch_v, int(self.rng.integers(1 << 24)))

    def paint(
        self,
        where: Mask,
        material: Material | NDArray[np.uint8],
        tone: Metres = 1.0,
        height_m: Metres = 0.0,
    ) -> None:
        """Paint these pixels."""
        np.copyto(self.material, np.uint8(material) if isinstance(material, Material) else material, where=where)
        np.copyto(self.tone, tone if isinstance(tone, np.ndarray) else np.float32(tone), where=where)
        np.copyto(self.height_m, height_m if isinstance(height_m, np.ndarray) else np.float32(height_m), where=where)

    def build(
        self,
        where: Mask,
        lots: LotGrid,
        height_m: Metres,
        use: int,
        *,
        roofs: Floats | None = None,
        contrast: Number = 0.22,
    ) -> None:
        """Paint buildings, with one roof material and tone for each lot.

        Args:
            where: Footprints of the buildings.
            lots: Lots of the buildings.
            height_m: Height of the roofs.
            use: Row of the city's roofs: 0 for low, 1 for high, 2 for industrial buildings.
            roofs: Shares of roof materials; by default the city's.
            contrast: Spread of the roofs' tone.
        """
        shares = self.climate.roofs[use] if roofs is None else roofs
        steps = np.cumsum(self.rng.dirichlet(0.15 + 5 * shares)).astype(np.float32)
        codes = np.array(ROOFS, np.uint8)
        kind = codes[np.minimum(np.searchsorted(steps, lots.value(901)), len(codes) - 1)]
        tone = np.exp(np.float32(contrast * 3.4) * (lots.value(902) - np.float32(0.5)))
        self.paint(where, kind, tone, height_m)
        self.building |= where

    def thin(self, footprint: Mask, lots: LotGrid, fraction: Number) -> Mask:
        """Leave lots unbuilt so that about `fraction` of the canvas stays built."""
        full = float(footprint.mean())
        return footprint if full <= fraction else footprint & (lots.value(903) < fraction / full)

    def trees(
        self,
        cover: Number,
        radius_m: tuple[Number, Number],
        height_m: tuple[Number, Number],
        where: Mask | None = None,
        kind: Material | None = None,
    ) -> None:
        """Paint trees on about `cover` of the canvas (0 to 1): domes, lit from the sun's side.

        By default, each tree is a broadleaf or a conifer, by the city's share of conifers.
        """
        largest = 2.05 * radius_m[1]
        layer_cover = math.pi * (sum(radius_m) / 2) ** 2 / largest**2
        layers = max(1, math.ceil(-math.log(max(1 - cover, 0.02)) / layer_cover / 0.95))
        present = min(1.0, (1 - (1 - cover) ** (1 / layers)) / layer_cover)
        azimuth = math.radians(self.climate.sun_azimuth_deg)
        for _ in range(layers):
            turn = self.turn()
            u, v = self.frame(turn)
            lots = self.grid(u, v, largest, largest, stagger=0.5)
            radius = lots.between(1, *radius_m)
            slack = np.float32(largest / 2) - radius
            du = lots.du - slack * (2 * lots.value(2) - 1)
            dv = lots.dv - slack * (2 * lots.value(3) - 1)
            inside = np.float32(1) - (du * du + dv * dv) / (radius * radius)
            mask = (inside > 0) & (lots.value(4) < present) & ~self.building
            if where is not None:
                mask &= where
            self._crowns(mask, lots, inside, (du, dv), radius, turn, azimuth, height_m, kind)

    def _crowns(
        self,
        mask: Mask,
        lots: LotGrid,
        inside: Floats,
        offset: tuple[Floats, Floats],
        radius: Floats,
        turn: float,
        azimuth: float,
        height_m: tuple[Number, Number],
        kind: Material | None,
    ) -> None:
        top = lots.between(5, *height_m) * (np.float32(0.7) + np.float32(0.3) * np.sqrt(np.maximum(inside, 0)))
        mask &= top > self.height_m
        east, south = math.sin(azimuth), -math.cos(azimuth)
        along_u = np.float32(math.cos(turn) * east + math.sin(turn) * south)
        along_v = np.float32(math.cos(turn) * south - math.sin(turn) * east)
        light = (offset[0] * along_u + offset[1] * along_v) / radius
        tone = (np.float32(0.95) + np.float32(0.22) * light) * (np.float32(0.85) + np.float32(0.3) * lots.value(6))
        if kind is not None:
            self.paint(mask, kind, tone, top)
            return
        conifer = lots.value(7) < self.climate.conifers
        self.paint(mask, np.where(conifer, np.uint8(Material.CONIFER), np.uint8(Material.BROADLEAF)), tone, top)
