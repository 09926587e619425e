"""How much of the test part the training part has seen: by place where it is known, else by the pixels themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from compactnas.data.footprints import overlaps
from compactnas.data.source import Indices, Progress, Source

Hashes = NDArray[np.uint64]

KEPT = 16
"""One window in so many is kept in a patch's sketch: some sixty of a patch of 32 pixels."""
SIDE = 4
"""Of a window in pixels: a strip of overlap that is narrower is not seen, and smaller windows of 8-bit colours are
alike by chance."""
FACTOR = np.uint64(0x9E3779B97F4A7C15)
COMPARED = 4
"""Training patches that are compared with a test patch in full."""
BATCH = 512
STEPS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Leakage:
    """What test and training part have in common.

    Attributes:
        method: `places`, areas on the ground; or `pixels`, the same pixels in both.
        rows: of the test part.
        share: of each test patch, the greatest share of it that one training patch holds, 0 to 1.
        partner: row of that training patch, -1 where there is none.
        training: patches of the training part.
    """

    method: Literal["places", "pixels"]
    rows: Indices
    share: NDArray[np.float64]
    partner: Indices
    training: int

    @property
    def overlapping(self) -> int:
        """Test patches that have anything in common with a training patch."""
        return int((self.share > 0).sum())

    def above(self) -> dict[str, int]:
        """Test patches of which more than 0, 25, 50, 75 % lies in one training patch."""
        return {f"more than {step:.0%}": int((self.share > step).sum()) for step in STEPS}

    def to_json(self) -> dict[str, Any]:
        """As plain values; `patches` holds test row, training row and share of each that overlaps."""
        found = np.flatnonzero(self.share > 0)
        return {
            "method": self.method,
            "training": self.training,
            "test": len(self.rows),
            "overlapping": self.overlapping,
            "shares": self.above(),
            "patches": [
                {"test": int(self.rows[i]), "training": int(self.partner[i]), "share": float(self.share[i])}
                for i in found
            ],
        }


def measure_leakage(source: Source, training: Indices, test: Indices, progress: Progress | None = None) -> Leakage:
    """Overlap of test and training part.

    Where the source knows no places, patches that show the same pixels are found by hashes of all their
    windows of 4 x 4 pixels (all bands, to the bit; windows with flat places are left out). A window's hash
    decides whether it is kept in the patch's sketch, so that two patches keep the same ones of what they
    share; the few training patches that share most of a test patch's sketch are then compared with it in
    full. Pixels that were resampled or compressed anew are not the same to this.
    """
    places = source.facts.footprints
    if places is not None:
        found = overlaps(places.at(test), places.at(training))
        partner = np.where(found.partner < 0, -1, training[found.partner])
        return Leakage("places", test, found.share, partner, len(training))
    return _by_pixels(source, training, test, progress)


def _by_pixels(source: Source, training: Indices, test: Indices, progress: Progress | None) -> Leakage:
    total = len(training) + len(test)
    known, owners = _sketches(source, training, lambda done: progress and progress(done, total))
    order = np.argsort(known, kind="stable")
    known, owners = known[order], owners[order]
    share, partner = np.zeros(len(test)), np.full(len(test), -1)
    for start in range(0, len(test), BATCH):
        rows = test[start : start + BATCH]
        windows = _windows(source, rows)
        for place, ours in enumerate(windows):
            votes = _votes(np.unique(ours[(ours % KEPT == 0) & (ours > 0)]), known, owners)
            likely = np.argsort(-votes, kind="stable")[:COMPARED]
            likely = training[likely[votes[likely] > 0]]
            for row, theirs in zip(likely, _windows(source, likely) if len(likely) else (), strict=True):
                held = np.isin(ours[ours > 0], theirs).mean()
                if held > share[start + place]:
                    share[start + place], partner[start + place] = held, row
        if progress is not None:
            progress(len(training) + start + len(rows), total)
    return Leakage("pixels", test, share, partner, len(training))


def _votes(sketch: Hashes, known: Hashes, owners: Indices) -> Indices:
    """How many hashes of a sketch each owner has, up to the last that has one."""
    first, last = np.searchsorted(known, sketch, "left"), np.searchsorted(known, sketch, "right")
    held = [owners[a:b] for a, b in zip(first, last, strict=True) if a < b]
    return np.bincount(np.concatenate(held)) if held else np.zeros(0, np.int64)


def _sketches(source: Source, rows: Indices, progress: Callable[[int], object]) -> tuple[Hashes, Indices]:
    """Hashes that are kept of all rows, and which of the rows each is of."""
    hashes, owners = [], []
    for start in range(0, len(rows), BATCH):
        windows = _windows(source, rows[start : start + BATCH])
        kept = (windows % KEPT == 0) & (windows > 0)
        hashes.append(windows[kept])
        owners.append(start + np.nonzero(kept)[0])
        progress(min(start + BATCH, len(rows)))
    return np.concatenate(hashes), np.concatenate(owners)


def _windows(source: Source, rows: Indices) -> Hashes:
    """A hash of each window of SIDE x SIDE pixels, 0 where neighbours in a row are alike, (rows, windows)."""
    images, _ = source.batch(rows)
    numbers = np.asarray(images, np.float32).view(np.uint32).astype(np.uint64)
    pixels = np.zeros((len(rows), *images.shape[2:]), np.uint64)
    for band in range(images.shape[1]):
        pixels = _mixed(pixels ^ numbers[:, band])
    alike = pixels[:, :, 1:] == pixels[:, :, :-1]
    for axis in (1, 2):  # a polynomial along each axis: its coefficients are the pixels' hashes
        shifted = sliding_window_view(pixels, SIDE, axis)
        pixels = shifted[..., 0].copy()
        for place in range(1, SIDE):
            pixels = pixels * FACTOR + shifted[..., place]
    flat = sliding_window_view(alike, (SIDE, SIDE - 1), (1, 2)).any((-1, -2))
    hashes: Hashes = np.where(flat, np.uint64(0), _mixed(pixels)).reshape(len(rows), -1)
    return hashes


def _mixed(values: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output."""
    values = (values + np.uint64(0x9E3779B97F4A7C15)) & np.uint64(2**64 - 1)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
