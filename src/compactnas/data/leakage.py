"""Measure the overlap of the test part with the training part, by location if known, otherwise by pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from compactnas.data.footprints import overlaps
from compactnas.data.source import Indices, Progress, Source
from compactnas.errors import UserError

Hashes = NDArray[np.uint64]

KEPT = 16
"""The sketch of a patch keeps one window in 16: about sixty windows for a patch of 32 pixels."""
SIDE = 4
"""Side of a window in pixels. Narrower overlaps are not found; smaller windows of 8-bit colours match by chance."""
FACTOR = np.uint64(0x9E3779B97F4A7C15)
COMPARED = 4
"""Number of training patches to compare in full with each test patch."""
BATCH = 512
STEPS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Leakage:
    """Overlap of the test part with the training part.

    Attributes:
        method: `places` (areas on the ground) or `pixels` (identical pixels).
        rows: Rows of the test part.
        share: Largest share of each test patch that lies in a single training patch, 0 to 1.
        partner: Row of that training patch; -1 without an overlap.
        training: Number of patches in the training part.
    """

    method: Literal["places", "pixels"]
    rows: Indices
    share: NDArray[np.float64]
    partner: Indices
    training: int

    @property
    def overlapping(self) -> int:
        """Number of test patches that overlap a training patch."""
        return int((self.share > 0).sum())

    def above(self) -> dict[str, int]:
        """Count the test patches with a share above 0, 25, 50 and 75 % in a single training patch."""
        return {f"more than {step:.0%}": int((self.share > step).sum()) for step in STEPS}

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values for JSON; `patches` lists test row, training row and share of each overlap."""
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
    """Measure the overlap of the test part with the training part.

    If the source has no footprints, identical pixels are found by hashing all windows of 4 x 4 pixels
    (all bands, exact; windows with equal neighbours are skipped). The hash of a window decides whether the
    sketch of its patch keeps it, so that two patches keep the same windows of the area they share. Each test
    patch is then compared in full with the few training patches that share most of its sketch. Pixels that
    were resampled or compressed again do not match.
    """
    places = source.facts.footprints
    if places is not None:
        found = overlaps(places.at(test), places.at(training))
        partner = np.where(found.partner < 0, -1, training[found.partner])
        return Leakage("places", test, found.share, partner, len(training))
    return _by_pixels(source, training, test, progress)


def _by_pixels(source: Source, training: Indices, test: Indices, progress: Progress | None) -> Leakage:
    if source.facts.patch_px < SIDE:
        raise UserError(
            f"{source.facts.name}: patches of {source.facts.patch_px} px are too small to compare by their pixels; "
            f"give patches of {SIDE} px or more"
        )
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
    """Count the hashes that a sketch shares with each owner, up to the last owner with any."""
    first, last = np.searchsorted(known, sketch, "left"), np.searchsorted(known, sketch, "right")
    held = [owners[a:b] for a, b in zip(first, last, strict=True) if a < b]
    return np.bincount(np.concatenate(held)) if held else np.zeros(0, np.int64)


def _sketches(source: Source, rows: Indices, progress: Callable[[int], object]) -> tuple[Hashes, Indices]:
    """Return the sketches of all rows, and the position of the row of each hash."""
    hashes, owners = [], []
    for start in range(0, len(rows), BATCH):
        windows = _windows(source, rows[start : start + BATCH])
        kept = (windows % KEPT == 0) & (windows > 0)
        hashes.append(windows[kept])
        owners.append(start + np.nonzero(kept)[0])
        progress(min(start + BATCH, len(rows)))
    return np.concatenate(hashes), np.concatenate(owners)


def _windows(source: Source, rows: Indices) -> Hashes:
    """Hash each window of SIDE x SIDE pixels, (rows, windows); 0 if two neighbours in a pixel row are equal."""
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
    """Apply the finaliser of splitmix64 (Steele, Lea, Flood 2014): each input bit affects every output bit."""
    values = (values + np.uint64(0x9E3779B97F4A7C15)) & np.uint64(2**64 - 1)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
