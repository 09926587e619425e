"""Make a whole city as one Sentinel-2 scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compactnas.synthetic.canvas import FINE_M, Canvas, Mask, hashed, smooth_noise
from compactnas.synthetic.climate import Climate, draw_climate
from compactnas.synthetic.materials import Floats, Material, vary
from compactnas.synthetic.plan import PIXEL_M, SCALE, WATER, CityPlan, plan_city
from compactnas.synthetic.render import cast_shadows, to_sensor, to_surface
from compactnas.synthetic.zones import COMPANIONS, PAINTERS

_BUILT = 10  # LCZ indices below this one are built classes


@dataclass(frozen=True)
class CityScene:
    """Scene of one city.

    Attributes:
        reflectance: Top-of-atmosphere reflectance at 10 m, (band, row, column), with the bands of `materials.BANDS`.
        lcz: LCZ number from 1 to 17 of each pixel.
        name: Name of the city.
        epsg: EPSG code of its UTM zone.
        transform: Affine transform (a, b, c, d, e, f): the upper left corner of a pixel is at x = a col + b row + c and
            y = d col + e row + f, in metres.
    """

    reflectance: Floats
    lcz: NDArray[np.uint8]
    name: str
    epsg: int
    transform: tuple[float, float, float, float, float, float]


def make_city(seed: int, size: int) -> CityScene:
    """Make the city of this seed on `size` x `size` pixels; the same seed gives the same bytes.

    Raises:
        UserError: The scene is too small for all classes.
    """
    climate = draw_climate(seed)
    plan = plan_city(seed, size)
    ground = _paint(seed, plan, climate)
    _borders(plan, ground, climate)
    _lines(np.random.default_rng((seed, 4)), ground)
    rng = np.random.default_rng((seed, 5))
    shadow = cast_shadows(ground.height_m, climate.sun_azimuth_deg, climate.sun_elevation_deg)
    sunlight = np.where(shadow, np.float32(0), _hills(rng, plan, climate))
    table = np.concatenate([vary(rng, climate.spectra, brightness=0.16, slope=0.1) for _ in plan.classes])
    lookup = plan.zone.astype(np.int32) * np.int32(len(Material)) + ground.material
    surface = to_surface(lookup, table, ground.tone, sunlight, climate)
    return CityScene(to_sensor(surface, climate, rng), plan.lcz, climate.name, climate.epsg, _place(seed, climate))


def _place(seed: int, climate: Climate) -> tuple[float, float, float, float, float, float]:
    """Draw the transform: upper left corner on a 10 m grid near the central meridian, at the latitude on a sphere."""
    rng = np.random.default_rng((seed, 6))
    east = 10 * round(float(rng.uniform(330_000, 670_000)) / 10)
    north = 10 * round(math.radians(climate.latitude_deg) * 6_367_449 * 0.9996 / 10)
    return PIXEL_M, 0.0, float(east), 0.0, -PIXEL_M, float(north + (10_000_000 if climate.latitude_deg < 0 else 0))


def _paint(seed: int, plan: CityPlan, climate: Climate) -> Canvas:
    """Paint every zone on its own canvas, and copy it to the canvas of the city."""
    fine = plan.zone.shape[0]
    x = np.broadcast_to((np.arange(fine, dtype=np.float32) + np.float32(0.5)) * np.float32(FINE_M), (fine, fine))
    whole = Canvas(x, x.T, np.random.default_rng((seed, 3)), np.random.default_rng((seed, 3)), climate)
    rows, columns = _spans(plan.zone, len(plan.classes)), _spans(plan.zone.T, len(plan.classes))
    for number, index in enumerate(plan.classes):
        box = (rows[number], columns[number])
        if box[0].stop == 0:
            continue
        where = plan.zone[box] == number
        rng = np.random.default_rng((seed, 3, number))
        _lay(whole, box, where, _drawn(seed, int(index), whole, box, rng))
        guests = COMPANIONS[index]
        share = rng.uniform(-0.1, climate.mixing)
        if guests and share > 0.02:
            guest = int(rng.choice(guests))
            blob = smooth_noise(rng, where.shape, rng.uniform(50, 100) / FINE_M)
            _lay(whole, box, where & (blob > np.quantile(blob, 1 - share)), _drawn(seed, guest, whole, box, rng))
    return whole


def _spans(zone: NDArray[np.int16], zones: int) -> list[slice]:
    """Return the range of rows of each zone; `slice(0, 0)` for a zone without pixels."""
    there = np.array([np.bincount(row, minlength=zones) > 0 for row in zone])
    first, last = there.argmax(axis=0), len(there) - there[::-1].argmax(axis=0)
    ends = np.where(there.any(axis=0), [first, last], 0)
    return [slice(int(start), int(stop)) for start, stop in ends.T]


def _drawn(seed: int, index: int, whole: Canvas, box: tuple[slice, slice], rng: np.random.Generator) -> Canvas:
    part = Canvas(whole.x[box], whole.y[box], rng, np.random.default_rng((seed, 7, index)), whole.climate)
    PAINTERS[index](part)
    return part


def _lay(whole: Canvas, box: tuple[slice, slice], where: Mask, part: Canvas) -> None:
    for name in ("material", "height_m", "tone", "building"):
        np.copyto(getattr(whole, name)[box], getattr(part, name), where=where)


def _borders(plan: CityPlan, ground: Canvas, climate: Climate) -> None:
    """Paint the borders of zones: roads in town, hedges and tracks outside, a beach or a quay along water."""
    near, far = plan.classes[plan.zone], plan.classes[plan.other]
    pair = hashed(
        np.minimum(plan.zone, plan.other).astype(np.int32), np.maximum(plan.zone, plan.other).astype(np.int32), 17
    )
    built = (near < _BUILT).astype(np.int8) + (far < _BUILT)
    shore = (near == WATER) != (far == WATER)
    width = np.float32(8) + np.float32(14) * pair
    differ = near != far
    ground.paint((plan.gap_m < width) & (built == 2) & ~shore & (pair < 0.7), Material.ROAD, 0.95)
    ground.paint((plan.gap_m < 7) & (built == 1) & differ & ~shore & (pair < 0.6), Material.ROAD, 1.0)
    hedge = (plan.gap_m < 9) & (built == 0) & differ & ~shore
    ground.paint(hedge & (pair < 0.3), Material.DIRT, 1.0)
    ground.paint(hedge & (pair > 0.7), Material.BROADLEAF, 1.0, 7.0)
    beach = shore & (plan.gap_m < 2 * width) & (near != WATER)
    ground.paint(beach & (built == 0), Material.SAND, 1.0)
    ground.paint(beach & (built > 0), Material.CONCRETE, 0.8)
    del climate


def _lines(rng: np.random.Generator, ground: Canvas) -> None:
    """Paint motorways and a railway that cross the city through all zones."""
    span = float(ground.x.max())
    for number in range(int(rng.integers(1, 4))):
        turn, offset = rng.uniform(0, math.pi), rng.uniform(0.2, 0.8) * span
        along = math.cos(turn) * (ground.x - offset) + math.sin(turn) * (ground.y - offset)
        across = math.cos(turn) * (ground.y - offset) - math.sin(turn) * (ground.x - offset)
        away = np.abs(across + np.float32(rng.uniform(40, 160)) * np.sin(along / np.float32(rng.uniform(350, 900))))
        if number == 1:
            ground.paint(away < 5, Material.ROCK, 0.7)
            continue
        half = float(rng.uniform(9, 16))
        ground.paint(away < half + 5, Material.GRASS, 0.95)
        ground.paint(away < half, Material.ASPHALT, 1.1)
        ground.paint(away < 1.5, Material.GRASS, 0.9)


def _hills(rng: np.random.Generator, plan: CityPlan, climate: Climate) -> Floats:
    """Compute direct light relative to level ground: slopes are strong outside the town, weak in it, none on water."""
    shape = plan.lcz.shape
    hills = smooth_noise(rng, shape, 40.0, octaves=3)
    south, east = np.gradient(hills)
    azimuth = math.radians(climate.sun_azimuth_deg)
    facing = math.sin(azimuth) * -east + math.cos(azimuth) * south
    steep = np.where(plan.lcz <= _BUILT, 0.2, 1.0) * (plan.lcz != WATER + 1)
    light = np.clip(1 + 2.2 * climate.relief * steep * facing, 0.5, 1.4).astype(np.float32)
    return np.repeat(np.repeat(light, SCALE, 0), SCALE, 1)
