"""Plan the zones of a city from the core to the edge, along a coast or a river, with every class in each half."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.lcz import SO2SAT_TRAIN
from compactnas.synthetic.canvas import FINE_M, smooth_noise
from compactnas.synthetic.materials import Floats

CLASSES = 17
WATER = 16
PIXEL_M = 10.0
SCALE = 4
"""Fine pixels along a scene pixel."""
PATCH_PX = 32
_CELL_PX = 64
_TILE_PX = 128
"""Side of the tiles whose nearest centres are computed at a time."""
SMALLEST_PX = 264
"""Smallest side of a scene, at which each of 6 x 6 zones still holds a whole patch."""

# Usual distance of each class from the core (0) to the edge (1).
_HOME = (0.0, 0.15, 0.3, 0.4, 0.45, 0.6, 0.7, 0.65, 0.85, 0.7, 0.95, 0.6, 0.9, 0.9, 0.75, 0.9, 0.8)
_FIRST = (WATER, 0, 9, 1, 2)


@dataclass(frozen=True)
class CityPlan:
    """Zones of a city.

    Attributes:
        zone: Number of the zone of each fine pixel, (row, column).
        other: Number of the nearest neighbouring zone of each fine pixel, (row, column).
        gap_m: Additional distance to the centre of the neighbouring zone in metres; small at a border.
        classes: LCZ index from 0 to 16 of each zone.
        lcz: LCZ number from 1 to 17 of each 10 m pixel.
    """

    zone: NDArray[np.int16]
    other: NDArray[np.int16]
    gap_m: Floats
    classes: NDArray[np.uint8]
    lcz: NDArray[np.uint8]


def plan_city(seed: int, size: int) -> CityPlan:
    """Plan the zones of the city of this seed, on `size` x `size` pixels of 10 m.

    Borders are drawn again, straighter each time, until every class has room for a patch in the west half and in the
    east half.

    Raises:
        UserError: The scene is too small for all classes.
    """
    if size < SMALLEST_PX:
        raise UserError(
            f"scene_px: {size} is too small for 17 classes in each half of a city; give at least {SMALLEST_PX}"
        )
    for attempt in range(9):
        rng = np.random.default_rng((seed, 2, attempt))
        plan = _draw(rng, size, loose=1 - attempt / 8)
        if all(len(np.unique(plan.lcz[row, col])) == CLASSES for row, col in _homes(plan.lcz)):
            return plan
    raise AssertionError("a plan of square zones holds every class")


def _homes(lcz: NDArray[np.uint8]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Find the centres of the possible patches in each half."""
    row, col, _ = windows(lcz, purity=0.8, stride=4)
    half = PATCH_PX // 2
    west, east = col + PATCH_PX <= lcz.shape[1] // 2, col >= lcz.shape[1] // 2
    return [(row[side] + half, col[side] + half) for side in (west, east)]


def windows(
    lcz: NDArray[np.uint8], purity: float, stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find windows of 32 x 32 pixels that mostly have one class; return their rows, columns and LCZ indices.

    Args:
        lcz: LCZ numbers, (row, column).
        purity: Smallest share of the class in the window; the pixel at its centre must have the same class.
        stride: Step between windows in pixels.
    """
    rows = np.arange(0, lcz.shape[0] - PATCH_PX + 1, stride)
    cols = np.arange(0, lcz.shape[1] - PATCH_PX + 1, stride)
    share = np.zeros((CLASSES, len(rows), len(cols)), np.float32)
    for index in range(CLASSES):
        total = np.pad((lcz == index + 1).astype(np.int32).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        low, high = total[rows], total[rows + PATCH_PX]
        share[index] = high[:, cols + PATCH_PX] - high[:, cols] - low[:, cols + PATCH_PX] + low[:, cols]
    label = share.argmax(0)
    centre = lcz[np.ix_(rows + PATCH_PX // 2, cols + PATCH_PX // 2)] - 1
    good = (share.max(0) >= purity * PATCH_PX**2) & (centre == label)
    r, c = np.nonzero(good)
    return rows[r], cols[c], label[r, c]


def _draw(rng: np.random.Generator, size: int, loose: float) -> CityPlan:
    across = max(6, 2 * round(size / _CELL_PX / 2))
    side = size * PIXEL_M / across
    column, row = (axis.ravel() for axis in np.meshgrid(np.arange(across), np.arange(across)))
    jitter = rng.uniform(-0.22, 0.22, (2, across * across)) * loose
    centre_x, centre_y = (column + 0.5 + jitter[0]) * side, (row + 0.5 + jitter[1]) * side
    classes = _assign(rng, centre_x / (size * PIXEL_M), centre_y / (size * PIXEL_M), column < across // 2)
    zone, other, gap = _voronoi(rng, size, centre_x, centre_y, warp_m=60 * loose)
    lcz = classes[zone[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]] + np.uint8(1)
    return CityPlan(zone, other, gap, classes, lcz)


def _assign(
    rng: np.random.Generator, x: NDArray[np.float64], y: NDArray[np.float64], west: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Assign a class to each zone with its centre at x, y (0 to 1), each class to free places that suit it best."""
    core_x, core_y = rng.uniform(0.42, 0.58, 2)
    away = np.hypot(x - core_x, y - core_y)
    away = away / away.max()
    shore = _shore(rng, x, y)
    # So2Sat's training counts, to a power below 1, so that no class dominates.
    weights = np.array(SO2SAT_TRAIN) ** 0.6 * np.exp(rng.normal(0, 0.6, CLASSES))
    classes = np.zeros(len(x), np.uint8)
    for half in (west, ~west):
        free = np.flatnonzero(half)
        wanted = np.concatenate(
            (np.arange(CLASSES), rng.choice(CLASSES, len(free) - CLASSES, p=weights / weights.sum()))
        )
        rest = [int(index) for index in rng.permutation(wanted) if index not in _FIRST]
        for index in [first for first in _FIRST for _ in range(int((wanted == first).sum()))] + rest:
            misfit = np.abs(away[free] - _HOME[index]) + rng.normal(0, 0.12, len(free))
            if index == WATER:
                misfit = shore[free] + rng.normal(0, 0.02, len(free))
            elif index == 9:
                misfit = 0.5 * misfit + shore[free]
            best = int(misfit.argmin())
            classes[free[best]] = index
            free = np.delete(free, best)
    return classes


def _shore(rng: np.random.Generator, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the distance of each place from the coast (north or south of the city) or from a river through it."""
    turn = rng.uniform(-0.6, 0.6)
    across = math.cos(turn) * (y - 0.5) + math.sin(turn) * (x - 0.5)
    if rng.random() < 0.5:
        return 0.7 + across if rng.random() < 0.5 else 0.7 - across
    away: NDArray[np.float64] = np.abs(across - rng.uniform(-0.3, 0.3))
    return away


def _two_nearest(
    x: Floats, y: Floats, cx: NDArray[np.float32], cy: NDArray[np.float32]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Find the nearest and second nearest centre of each pixel of a tile; of equally near ones, the lower number.

    Skips centres whose smallest distance to the tile is larger than the largest distance of two others.
    """
    least, most = (np.hypot(*gaps) for gaps in zip(_gaps(x, cx), _gaps(y, cy), strict=True))
    near = np.flatnonzero(least <= np.partition(most, 1)[1] * 1.001 + 1)
    first, second = np.zeros(x.shape, np.int16), np.zeros(x.shape, np.int16)
    best = np.full(x.shape, np.inf, np.float32)
    next_best = best.copy()
    for index in near:
        distance = np.hypot(x - cx[index], y - cy[index])
        wins, follows = distance < best, distance < next_best
        second = np.where(wins, first, np.where(follows, np.int16(index), second))
        next_best = np.where(wins, best, np.where(follows, distance, next_best))
        first, best = np.where(wins, np.int16(index), first), np.where(wins, distance, best)
    return first, second


def _gaps(x: Floats, centres: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the smallest and largest distance of each centre from the range of the pixels, along one axis."""
    low, high = x.min(), x.max()
    outside = np.maximum(np.maximum(low - centres, centres - high), np.float32(0))
    return outside, np.maximum(np.abs(centres - low), np.abs(centres - high))


def _voronoi(
    rng: np.random.Generator, size: int, centre_x: NDArray[np.float64], centre_y: NDArray[np.float64], warp_m: float
) -> tuple[NDArray[np.int16], NDArray[np.int16], Floats]:
    """Find the nearest and second nearest centre of each fine pixel, in bent coordinates; return also their gap.

    Finds both at 10 m and compares them again at each fine pixel, which is as good and much cheaper.
    """
    fine = size * SCALE
    x = np.broadcast_to((np.arange(fine, dtype=np.float32) + np.float32(0.5)) * np.float32(FINE_M), (fine, fine))
    y = x.T
    for scale_m, strength in ((420.0, 1.0), (110.0, 0.25)):
        x = x + np.float32(warp_m * strength) * smooth_noise(rng, (fine, fine), scale_m / FINE_M)
        y = y + np.float32(warp_m * strength) * smooth_noise(rng, (fine, fine), scale_m / FINE_M)
    half = SCALE // 2
    coarse_x, coarse_y = x[half::SCALE, half::SCALE], y[half::SCALE, half::SCALE]
    cx, cy = centre_x.astype(np.float32), centre_y.astype(np.float32)
    first = np.zeros((size, size), np.int16)
    second = np.zeros((size, size), np.int16)
    for row in range(0, size, _TILE_PX):
        for column in range(0, size, _TILE_PX):
            tile = np.s_[row : row + _TILE_PX, column : column + _TILE_PX]
            first[tile], second[tile] = _two_nearest(coarse_x[tile], coarse_y[tile], cx, cy)
    a, b = (np.repeat(np.repeat(which, SCALE, 0), SCALE, 1) for which in (first, second))
    difference = np.hypot(x - cx[b], y - cy[b]) - np.hypot(x - cx[a], y - cy[a])
    swap = difference < 0
    return np.where(swap, b, a), np.where(swap, a, b), np.abs(difference)
