"""Footprints of patches on the ground, and their overlaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.scenes.coordinates import is_metric

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ORDERS = {"world file": (0, 1, 2, 3, 4, 5), "GDAL": (1, 4, 2, 5, 0, 3), "affine": (0, 3, 1, 4, 2, 5)}
"""Positions of A, D, B, E, C, F (world file) in each known order of the six numbers."""

CHUNK = 4096
UTM = (*range(32601, 32661), *range(32701, 32761))
"""EPSG codes of the UTM zones (WGS 84)."""


@lru_cache
def in_metres(epsg: int) -> bool:
    """Check whether a system has coordinates in metres; False if it is unknown or, without rasterio, not UTM."""
    if epsg in UTM:
        return True
    try:
        from rasterio.crs import CRS
        from rasterio.errors import CRSError
    except ImportError:
        return False
    try:
        crs = CRS.from_epsg(epsg)
    except CRSError:
        return False
    return is_metric(crs)


@dataclass(frozen=True)
class Footprints:
    """Bounding box of each patch on the ground.

    Attributes:
        epsg: EPSG code of the coordinate system, int64, (patches,).
        bounds: Left, bottom, right and top in the unit of the system (metres for UTM), float64, (patches, 4).
    """

    epsg: Integers
    bounds: Floats

    def at(self, rows: Integers) -> Footprints:
        """Select the footprints of these rows."""
        return Footprints(self.epsg[rows], self.bounds[rows])

    @classmethod
    def joined(cls, parts: list[Footprints]) -> Footprints:
        """Concatenate the footprints of several files."""
        return cls(np.concatenate([part.epsg for part in parts]), np.concatenate([part.bounds for part in parts]))

    @property
    def centres(self) -> Floats:
        """Centre (x, y) of each patch, (patches, 2)."""
        return (self.bounds[:, :2] + self.bounds[:, 2:]) / 2


def checked_footprints(epsg: Integers, bounds: Floats, where: str) -> Footprints:
    """Check that every patch has an area, and return the footprints.

    Raises:
        UserError: Bounds are not finite, or not in the order left, bottom, right, top.
    """
    wrong = ~(np.isfinite(bounds).all(1) & (bounds[:, :2] < bounds[:, 2:]).all(1))
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(f"{where}, row {row}: {bounds[row].tolist()} are not bounds; give left, bottom, right, top")
    return Footprints(epsg, bounds)


def bounds_of_tfw(tfw: Floats, pixels: int, where: str) -> Floats:
    """Compute the bounds of square patches from six numbers each, in any known order.

    A world file (A, D, B, E, C, F) gives the centre of the upper left pixel; GDAL's (C, A, B, F, D, E)
    and the affine order (A, B, C, D, E, F) give its corner. So2Sat's geo files exist in more than one order.

    Raises:
        UserError: The numbers fit no order, or more than one.
    """
    fitting = [order for order in ORDERS if _fits(tfw[:, ORDERS[order]])]
    if len(fitting) != 1:
        raise UserError(
            f"{where}: fits {' and '.join(fitting) or 'none'} of the orders {', '.join(ORDERS)}; "
            "give A, D, B, E, C, F of patches that are not rotated"
        )
    a, _, _, e, c, f = tfw[:, ORDERS[fitting[0]]].T
    half = 0.5 if fitting[0] == "world file" else 0.0
    left, top = c - half * a, f - half * e
    return np.column_stack((left, top + pixels * e, left + pixels * a, top))


def _fits(tfw: Floats) -> bool:
    """Check that A, D, B, E, C, F describe square pixels that run right and down."""
    a, d, b, e, c, f = tfw.T
    square = (a > 0) & (e < 0) & np.isclose(a, -e)
    return bool(np.isfinite(tfw).all() and (square & (d == 0) & (b == 0) & (np.abs(c) + np.abs(f) > 0)).all())


@dataclass(frozen=True)
class Overlaps:
    """Overlaps of each patch of one set with the patches of another.

    Attributes:
        count: Number of overlapping patches in the other set, int64.
        share: Largest share of the patch's area that a single patch of the other set covers, float64, 0 to 1.
        partner: Row of that other patch, int64; -1 without an overlap.
    """

    count: Integers
    share: Floats
    partner: Integers


def overlaps(ours: Footprints, others: Footprints) -> Overlaps:
    """Find the exact overlaps of `ours` with `others`, using a grid whose cells are as large as a patch."""
    count = np.zeros(len(ours.epsg), np.int64)
    share, partner = np.zeros(len(ours.epsg)), np.full(len(ours.epsg), -1)
    if not len(count) or not len(others.epsg):
        return Overlaps(count, share, partner)
    for mine, theirs in _neighbours(ours, others):
        part = _shares(ours.bounds[mine], others.bounds[theirs])
        mine, theirs, part = mine[part > 0], theirs[part > 0], part[part > 0]
        count += np.bincount(mine, minlength=len(count))
        order = np.argsort(part, kind="stable")
        mine, theirs, part = mine[order], theirs[order], part[order]
        better = part > share[mine]
        share[mine[better]], partner[mine[better]] = part[better], theirs[better]
    return Overlaps(count, share, partner)


def _shares(ours: Floats, others: Floats) -> Floats:
    """Compute the share of each patch of `ours` that its counterpart covers."""
    low, high = np.maximum(ours[:, :2], others[:, :2]), np.minimum(ours[:, 2:], others[:, 2:])
    areas: Floats = np.prod(np.maximum(high - low, 0), axis=1) / np.prod(ours[:, 2:] - ours[:, :2], axis=1)
    return areas


def _neighbours(ours: Footprints, others: Footprints) -> Iterator[tuple[Integers, Integers]]:
    """Yield pairs of patches in the same or in adjacent cells; a cell is as large as the largest patch."""
    size = max(float(np.max(places.bounds[:, 2:] - places.bounds[:, :2])) for places in (ours, others))
    corners = np.concatenate([ours.bounds[:, :2], others.bounds[:, :2]])
    cells = np.floor((corners - corners.min(0)) / size).astype(np.int64) + 1
    width, height = cells.max(0) + 2
    systems = np.unique(np.concatenate([ours.epsg, others.epsg]), return_inverse=True)[1].ravel()
    keys = (systems * width + cells[:, 0]) * height + cells[:, 1]
    mine, theirs = keys[: len(ours.epsg)], keys[len(ours.epsg) :]
    order = np.argsort(theirs, kind="stable")
    theirs = theirs[order]
    for start in range(0, len(mine), CHUNK):
        chunk = mine[start : start + CHUNK]
        for step in (dx * height + dy for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
            first, last = np.searchsorted(theirs, chunk + step, "left"), np.searchsorted(theirs, chunk + step, "right")
            lengths = last - first
            rows = np.repeat(np.arange(len(chunk)), lengths)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            yield start + rows, order[first[rows] + within]
