"""Open the reference of a map: polygons, or a raster on any grid, in any coordinate system."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from compactnas.errors import UserError
from compactnas.labels.finding import is_vector
from compactnas.labels.polygons import Overlaps, Polygons, owners, read_polygons
from compactnas.labels.rasters import LabelRaster, opened_labels
from compactnas.mapping.coverage import covered_cells, covered_pixels
from compactnas.mapping.reference import PolygonReference, RasterReference, Reference, strips
from compactnas.mapping.training_labels import kept_areas, kept_polygons
from compactnas.mapping.warped import on_the_grid_of


class Use(NamedTuple):
    """Use of a reference.

    Attributes:
        band: Band of a raster, by number or description; if empty, `lcz` or the first.
        label_field: Field of polygons that holds their class; if empty, a usual one.
        units: Names of the polygons or areas to keep; None keeps all.
        purity: Smallest share of one class in a window; 0 disables windows.
        window_m: Side of a window in metres.
    """

    band: str = ""
    label_field: str = ""
    units: frozenset[str] | None = None
    purity: float = 0.0
    window_m: float = 320.0


class Opened(NamedTuple):
    """Reference, its labelled pixels or cells on the map and in all, and what was assumed."""

    reference: Reference
    inside: int
    total: int
    notes: tuple[str, ...]


def open_reference(map_: LabelRaster, truth_file: Path, use: Use, stack: ExitStack) -> Opened:
    """Open a reference, keep the held-out units if they are given, and bring it to the coordinates of the map.

    Args:
        map_: Open map.
        truth_file: Raster or polygons.
        use: What to use of it, and how.
        stack: Stack that closes the files.

    Raises:
        UserError: The file is not a reference, lies elsewhere, or an option does not fit it.
    """
    units = use.units
    held = () if units is None else (f"{truth_file}: only the {len(units)} units of the run's test part are compared",)
    opened_ = _polygons(map_, truth_file, use) if is_vector(truth_file) else _raster(map_, truth_file, use, stack)
    return opened_._replace(notes=(*opened_.notes, *held))


def _polygons(map_: LabelRaster, truth_file: Path, use: Use) -> Opened:
    if use.purity:
        raise UserError(f"--purity: needs a raster as reference, not {truth_file}; leave --purity out")
    if use.band:
        raise UserError(f"--truth-band: needs a raster as reference, not {truth_file}; leave --truth-band out")
    raster = map_.raster
    read = read_polygons(truth_file, raster.crs, tuple(raster.bounds), use.label_field, "--label-field", lcz_only=True)
    kept = None if use.units is None else kept_polygons(truth_file, read.each, use.units)
    reference = PolygonReference(raster, truth_file, read.each, kept)
    return Opened(reference, *covered_cells(reference), (*read.notes, *_overlaps(raster, read)))


def _overlaps(map_: Any, read: Polygons) -> tuple[str, ...]:
    overlaps = Overlaps(read, "cell")
    for rows in strips(map_, map_.width):
        owner = owners(read.each, map_.transform, rows, map_.width, read.file)
        overlaps.count(owner, map_.transform, rows)
    return overlaps.notes


def _raster(map_: LabelRaster, truth_file: Path, use: Use, stack: ExitStack) -> Opened:
    if use.label_field:
        raise UserError(f"--label-field: needs polygons as reference, not {truth_file}; leave --label-field out")
    crs = map_.raster.crs
    labels = stack.enter_context(opened_labels(truth_file, use.band, "--truth-band"))
    if use.purity and not crs.is_projected:
        raise UserError(f"--purity: {map_.file} is in degrees, windows are in metres; assess the map in its own system")
    window = use.window_m / crs.linear_units_factor[1] if use.purity else 0.0
    inside, total = covered_pixels(map_.raster, labels)
    if not inside and total:
        systems = "" if labels.raster.crs == crs else f" (it is in {labels.raster.crs}, the map in {crs})"
        raise UserError(f"{truth_file}: does not overlap {map_.file}{systems}; give a reference of the same place")
    notes = labels.notes
    if labels.raster.crs != crs:
        notes += (
            f"{truth_file}: is in {labels.raster.crs}, the map in {crs}; read on the map's grid, nearest neighbour",
        )
    if use.units is not None:
        labels = stack.enter_context(kept_areas(labels, use.units))
        inside, total = covered_pixels(map_.raster, labels)
    labels = stack.enter_context(on_the_grid_of(map_.raster, labels, window))
    return Opened(RasterReference(map_.raster, labels, use.purity, window), inside, total, notes)
