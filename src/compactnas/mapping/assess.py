"""Accuracy of a map: compare its cells with a reference, in the measures of WUDAPT, with bootstrap intervals.

The LCZ Generator gives OA, OAu, OAbu, OAw and the F1 of each class over 25 bootstraps of the training polygons
(Demuzere et al. 2021, doi:10.3389/fenvs.2021.637455). A finished map cannot be trained again, so this module resamples
its reference instead: polygons, or blocks of cells, because neighbouring cells are not independent.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.evaluation.bootstrap import Confusions, Interval, UnitCounts, intervals_of
from compactnas.evaluation.metrics import Measures, class_measures, confusion_measures
from compactnas.labels.files import label_file
from compactnas.labels.rasters import LabelRaster
from compactnas.lcz import CLASSES
from compactnas.mapping.open_reference import Use, open_reference
from compactnas.mapping.reference import (
    Reference,
    cell_m,
    cell_text,
    read_map,
    require_map,
    strips,
)
from compactnas.mapping.training_labels import training_labels
from compactnas.scenes.files import opened, require_rasterio

MOST_M = 1_000_000
"""Largest side of a window in metres."""
Seen = Callable[[tuple[int, int], NDArray[np.uint8], NDArray[np.uint8]], None]
"""Function that receives (first row, row after the last), and the classes of map and reference on these rows."""


@dataclass(frozen=True)
class Score:
    """Accuracy over some of a map's cells.

    Attributes:
        measures: Measures over all cells.
        confusion: Confusion matrix in cells: true classes in rows, mapped classes in columns, in the order of the 17
            classes.
        intervals: 95 % interval of each measure, and of the F1 of each class as `f1_1` to `f1_17`, if at least one draw
            has a value; empty if fewer than two units have cells.
        units: Number of polygons or blocks that have cells.
    """

    measures: Measures
    confusion: Int64[np.ndarray, "true mapped"]
    intervals: dict[str, Interval]
    units: int

    @property
    def n(self) -> int:
        """Number of cells."""
        return int(self.confusion.sum())

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        each = class_measures(self.confusion)
        classes = [
            {"lcz": c.number, "name": c.name, "true": int(each.support[row]), "mapped": int(each.predicted[row])}
            | {name: _number(getattr(each, name)[row]) for name in ("precision", "recall", "f1")}
            for row, c in enumerate(CLASSES)
        ]
        return {
            "n": self.n,
            "measures": asdict(self.measures),
            "intervals_95": {name: list(ends) for name, ends in self.intervals.items()},
            "units": self.units,
            "classes": classes,
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True)
class Assessment:
    """Accuracy of a map against a reference.

    Attributes:
        map: File of the map.
        truth: File of the reference.
        cell_m: Height of a cell in metres.
        cell: Size of a cell in words; in degrees for a map in degrees.
        every: Score over all cells that have a class in both.
        pure: Score over the cells whose window is mostly of one class, which is then the true class; None if `purity`
            is 0 or no window is pure.
        purity: Smallest share of one class in such a window; 0 if not measured.
        window_m: Side of such a window in metres.
        unit: Unit that the intervals resample: polygons or blocks.
        draws: Number of bootstrap samples.
        unmapped: Number of cells that have a class in the reference but not in the map; they are left out.
        share: Mean share of the reference pixels in a cell that have the class of the cell; None for polygons.
        covered: Share of the labelled pixels of the reference, or of its labelled cells for polygons, that lie on the
            map; None if it has none.
        warnings: Reasons to distrust the figures, one line each.
        notes: What was assumed about the files or left out of them, one line each.
    """

    map: str
    truth: str
    cell_m: float
    cell: str
    every: Score
    pure: Score | None
    purity: float
    window_m: float
    unit: str
    draws: int
    unmapped: int
    share: float | None
    covered: float | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("every", "pure")}
        return (
            plain
            | {"notes": list(self.notes)}
            | {"every": self.every.to_json(), "pure": self.pure and self.pure.to_json()}
        )


def assess(
    map_file: str | Path,
    truth_file: str | Path,
    *,
    band: str = "",
    truth_band: str = "",
    label_field: str = "",
    held_out: str | Path = "",
    purity: float = 0.0,
    window_m: float = 320.0,
    draws: int = 1000,
    seed: int = 0,
    seen: Seen | None = None,
) -> Assessment:
    """Assess a map against a reference.

    Args:
        map_file: GeoTIFF of LCZ numbers with 0 declared as no data.
        truth_file: GeoTIFF with cells of any size, in any coordinate system, or polygons with a field `lcz` or `class`:
            GeoJSON, KML, KMZ, GeoPackage, shapefile, FlatGeobuf or GeoParquet.
        band: Band of the map, by number or description; if empty, `lcz`, `lczFilter` or the first.
        truth_band: Band of a reference raster, likewise.
        label_field: Field of the polygons that holds their class; if empty, a usual one such as `lcz` or `class`.
        held_out: Folder of the run that was trained on the reference; if given, only the polygons or areas of its test
            part are compared.
        purity: Also measure the cells whose window has one class by at least this share, above 0.5; 0 disables it.
        window_m: Side of this window in metres, by default that of So2Sat's patches.
        draws: Number of bootstrap samples for the 95 % intervals; 0 disables them.
        seed: Random seed of the bootstrap.
        seen: Function that receives each strip of rows with the classes of the map and of the reference.

    Raises:
        UserError: A file is not such a map or reference, they lie in different places, they have no cell to compare, or
            the run did not hold out whole polygons or areas of this reference.
    """
    map_file, truth_file = Path(map_file), Path(truth_file)
    require_rasterio(str(map_file))
    if purity and not 0.5 < purity <= 1:
        raise UserError(f"--purity: {purity} is not above 0.5 and up to 1; one class has to be most of a window")
    if draws < 0:
        raise UserError(f"--draws: {draws} is negative; give the number of draws, or 0 for no intervals")
    if not 0 < window_m < MOST_M:
        raise UserError(f"--window-m: {window_m:g} is not between 0 and {MOST_M:,} m; give the side of a window")
    units = _held_out(Path(held_out), truth_file) if str(held_out) else None
    with ExitStack() as stack:
        map_ = require_map(stack.enter_context(opened(map_file)), map_file, band)
        how = Use(truth_band, label_field, units, purity, window_m)
        reference, inside, total, notes = open_reference(map_, truth_file, how, stack)
        counted = _count(map_, reference, seen)
        side_m, cell = cell_m(map_.raster), cell_text(map_.raster)
    if not counted.every.any():
        raise UserError(_nothing(counted, map_file, truth_file))
    generator = np.random.default_rng(seed)
    return Assessment(
        map=str(map_file),
        truth=str(truth_file),
        cell_m=side_m,
        cell=cell,
        every=_score(counted.every, draws, generator),
        pure=_score(counted.pure, draws, generator) if counted.pure.any() else None,
        purity=purity,
        window_m=window_m,
        unit=reference.unit,
        draws=draws,
        unmapped=counted.unmapped,
        share=counted.hits / counted.pixels if counted.pixels else None,
        covered=inside / total if total else None,
        warnings=() if str(held_out) else _warnings(map_file, truth_file),
        notes=tuple(dict.fromkeys((*notes, *map_.notes))),
    )


@dataclass
class _Counts:
    """Counts that add up over the strips of a map."""

    every: Confusions
    pure: Confusions
    unmapped: int = 0
    hits: int = 0
    pixels: int = 0


def _held_out(run: Path, truth_file: Path) -> frozenset[str]:
    from compactnas.mapping.held_out import held_out_units  # imported here, because runs import torch

    return held_out_units(run, truth_file)


def _warnings(map_file: Path, truth_file: Path) -> tuple[str, ...]:
    known = training_labels(map_file)
    if not known or label_file(truth_file).sha256 not in {file.sha256 for file in known}:
        return ()
    return (
        f"{truth_file}: the network was trained on these labels, so the figures are too good; use other labels, or "
        "--held-out RUN",
    )


def _count(map_: LabelRaster, reference: Reference, seen: Seen | None) -> _Counts:
    shape = (reference.units, len(CLASSES), len(CLASSES))
    counts = _Counts(np.zeros(shape, np.int64), np.zeros(shape, np.int64))
    for rows in strips(map_.raster, reference.pixels_a_row):
        mapped = read_map(map_, rows)
        truth = reference.on(rows)
        if seen is not None:
            seen(rows, mapped, truth.labels)
        _add(counts.every, truth.units, truth.labels, mapped)
        _add(counts.pure, truth.units, truth.windows, mapped)
        counts.unmapped += int(((truth.labels > 0) & (mapped == 0)).sum())
        if truth.hits is not None and truth.pixels is not None:
            compared = (truth.labels > 0) & (mapped > 0)
            counts.hits += int(truth.hits[compared].sum())
            counts.pixels += int(truth.pixels[compared].sum())
    return counts


def _add(confusions: Confusions, units: NDArray[Any], true: NDArray[np.uint8], mapped: NDArray[np.uint8]) -> None:
    both = (true > 0) & (mapped > 0)
    np.add.at(confusions, (units[both], true[both] - 1, mapped[both] - 1), 1)


def _nothing(counts: _Counts, map_file: Path, truth_file: Path) -> str:
    if counts.unmapped:
        return f"{map_file}: has no class in the {counts.unmapped} cells that {truth_file} labels; map that place"
    return f"{truth_file}: has no label on a cell of {map_file}; give a reference of the same place"


def _score(confusions: Confusions, draws: int, generator: np.random.Generator) -> Score:
    confusion = confusions.sum(0)
    filled = confusions[confusions.any((1, 2))]
    enough = draws and len(filled) > 1
    intervals = intervals_of(UnitCounts.of(filled), draws, generator, lcz=True, each_class=True) if enough else {}
    return Score(confusion_measures(confusion, lcz=True), confusion, intervals, len(filled))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
