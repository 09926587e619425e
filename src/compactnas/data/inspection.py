"""Inspect a source: counts by class and group, band statistics, a mosaic, and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from compactnas.data.normalization import Moments
from compactnas.data.reflectance_checks import count_faults, reflectance_faults
from compactnas.data.source import Facts, Images, Indices, Source
from compactnas.data.true_colour import shown_bands, stretched

SAMPLE = 512
"""Number of patches to read for statistics and warnings; labels are counted over all patches."""
SAMPLE_VALUES = 2**25
"""Maximum number of values to read for them, over all bands."""

MOSAIC_COLUMNS, MOSAIC_PX, MARGIN_PX = 12, 48, 150


@dataclass(frozen=True)
class Look:
    """Result of an inspection.

    Attributes:
        facts: Facts about the source.
        classes: Number of patches of each class.
        groups: Number of patches of each group; empty without groups.
        class_groups: Number of groups (such as polygons) of each class; empty without groups.
        parts: Number of patches of each official part.
        dtype: Dtype of the pixels.
        sampled: Number of patches that were read.
        bands: Mean, standard deviation, minimum and maximum of each band over the sample.
        warnings: Warnings, one line each.
    """

    facts: Facts
    classes: dict[str, int]
    groups: dict[str, int]
    class_groups: dict[str, int]
    parts: dict[str, int]
    dtype: str
    sampled: int
    bands: dict[str, dict[str, float]]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        facts = self.facts
        return {
            "name": facts.name,
            "patches": len(facts.labels),
            "patch_px": facts.patch_px,
            "dtype": self.dtype,
            "sampled": self.sampled,
            "bands": self.bands,
            "classes": self.classes,
            "groups": self.groups,
            "class_groups": self.class_groups,
            "parts": self.parts,
            "warnings": list(self.warnings),
        }


def look(source: Source, seed: int = 0) -> Look:
    """Count all labels, and inspect a random sample of the patches."""
    facts = source.facts
    counts = np.bincount(facts.labels, minlength=len(facts.classes))
    images, rows = sample(source, np.random.default_rng(seed))
    groups = {} if facts.groups is None else dict(zip(*_counted(facts.groups), strict=True))
    return Look(
        facts=facts,
        classes=dict(zip(facts.classes, counts.tolist(), strict=True)),
        groups=groups,
        class_groups=_class_groups(facts),
        parts={part: len(rows) for part, rows in facts.parts.items()},
        dtype=str(images.dtype),
        sampled=len(rows),
        bands=_statistics(images, facts.bands),
        warnings=(*facts.notes, *_warnings(facts, counts, images, rows)),
    )


def sample(source: Source, rng: np.random.Generator) -> tuple[Images, Indices]:
    """Draw a random sample of patches, fewer if they are large; return their pixels and rows."""
    facts = source.facts
    values = facts.patch_px**2 * len(facts.bands)
    count = min(SAMPLE, max(1, SAMPLE_VALUES // max(values, 1)))
    rows = np.sort(rng.permutation(len(facts.labels))[:count])
    return source.batch(rows)[0], rows


def _statistics(images: Images, bands: tuple[str, ...]) -> dict[str, dict[str, float]]:
    moments = Moments.none(len(bands))
    with np.errstate(all="ignore"):  # huge values give infinite statistics
        for start in range(0, len(images), 64):
            moments = moments.joined(Moments.of(images[start : start + 64].astype(np.float64)))
        return moments.by_band(bands)


def _counted(names: NDArray[np.character]) -> tuple[list[str], list[int]]:
    found, counts = np.unique(names, return_counts=True)
    return [str(name) for name in found], counts.tolist()


def _class_groups(facts: Facts) -> dict[str, int]:
    if facts.groups is None:
        return {}
    named = facts.groups != ""
    pairs = {*zip(facts.labels[named].tolist(), facts.groups[named].tolist(), strict=True)}
    counts = np.bincount(np.array([label for label, _ in pairs], np.int64), minlength=len(facts.classes))
    return dict(zip(facts.classes, counts.tolist(), strict=True))


def _warnings(facts: Facts, counts: NDArray[np.int64], images: NDArray[Any], rows: Indices) -> list[str]:
    found = []
    absent = [name for name, count in zip(facts.classes, counts, strict=True) if not count]
    if absent:
        names = "; ".join(absent)  # some names contain commas
        found.append(f"no patch of {len(absent)} of {len(facts.classes)} classes: {names}")
    flat = images.reshape(len(images), -1)
    constant = rows[(flat == flat[:, :1]).all(1)]
    if len(constant):
        found.append(f"{len(constant)} of {len(rows)} sampled patches hold one value alone, first in row {constant[0]}")
    _, first, times = np.unique(flat, axis=0, return_index=True, return_counts=True)
    if (times > 1).any():
        twice = rows[first[times > 1]]
        found.append(f"{len(twice)} of {len(rows)} sampled patches are there more than once, first in row {twice[0]}")
    return [*found, *count_faults(facts), *reflectance_faults(facts, images)]


def mosaic(source: Source, seed: int = 0) -> Image.Image:
    """Draw a row of random patches for each class, in true colour if the bands are known, with one common stretch."""
    facts = source.facts
    bands = shown_bands(facts.bands)
    step, rng = MOSAIC_PX + 2, np.random.default_rng(seed)
    everywhere, _ = sample(source, rng)
    low, high = np.percentile(everywhere[:, bands].astype(np.float32), (1, 99), axis=(0, 2, 3))
    picture = Image.new("RGB", (MARGIN_PX + MOSAIC_COLUMNS * step, len(facts.classes) * step), "white")
    pen = ImageDraw.Draw(picture)
    for place, name in enumerate(facts.classes):
        pen.text((4, place * step + MOSAIC_PX // 2 - 5), name[:24], fill="black")
        rows = rng.permutation(np.flatnonzero(facts.labels == place))[:MOSAIC_COLUMNS]
        images = source.batch(rows)[0] if len(rows) else ()
        for column, image in enumerate(images):
            tile = Image.fromarray(stretched(image[bands], low, high))
            tile = tile.resize((MOSAIC_PX, MOSAIC_PX), Image.Resampling.NEAREST)
            picture.paste(tile, (MARGIN_PX + column * step, place * step))
    return picture
