"""Check whether a map covers a WRF domain, as W2W requires (WUDAPT to WRF)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from compactnas.labels.rasters import LabelRaster
from compactnas.mapping.reference import read_map, require_map, strips
from compactnas.scenes.coordinates import apply, in_system
from compactnas.scenes.files import opened
from compactnas.scenes.wrf import Domain, read_domain

LON_LAT = "EPSG:4326"

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class DomainCoverage:
    """Coverage of a WRF domain by a map.

    Attributes:
        map: File of the map.
        domain: File of the domain.
        cells: Number of cells of the domain.
        covered: Share of them whose middle lies on the map.
        classified: Share of them that have a class of the map at their middle.
        w2w: Whether W2W takes the map: in degrees, it must reach beyond the middles of the outer cells on all sides.
        map_bounds: West, south, east and north of the map in degrees.
        domain_bounds: The same of the middles of the domain's cells.
    """

    map: str
    domain: str
    cells: int
    covered: float
    classified: float
    w2w: bool
    map_bounds: Bounds
    domain_bounds: Bounds

    def to_json(self) -> dict[str, Any]:
        """Coverage as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def cover(map_file: Path, domain_file: Path, *, band: str = "") -> DomainCoverage:
    """Measure how much of a WRF domain a map covers.

    Args:
        map_file: GeoTIFF of LCZ numbers.
        domain_file: `geo_em` file of the domain.
        band: Band of the map, by number or description; if empty, `lcz` or the first.

    Raises:
        UserError: A file is not such a map or domain.
    """
    domain = read_domain(domain_file)
    with opened(map_file) as map_:
        labels = require_map(map_, map_file, band)
        found = _classes(labels, domain)
        bounds = _degrees(map_)
    own = domain.bounds
    beyond = bounds[0] < own[0] and bounds[1] < own[1] and bounds[2] > own[2] and bounds[3] > own[3]
    return DomainCoverage(
        map=str(map_file),
        domain=str(domain_file),
        cells=found.size,
        covered=float((found >= 0).mean()),
        classified=float((found > 0).mean()),
        w2w=beyond,
        map_bounds=bounds,
        domain_bounds=own,
    )


def _classes(labels: LabelRaster, domain: Domain) -> Float64[np.ndarray, " cells"]:
    """LCZ at the middle of each cell of the domain, 0 for none, -1 beyond the map."""
    map_ = labels.raster
    x, y = in_system(LON_LAT, map_.crs, domain.longitude.ravel(), domain.latitude.ravel(), str(labels.file))
    columns, rows = apply(~map_.transform, x, y)
    inside = (columns >= 0) & (columns < map_.width) & (rows >= 0) & (rows < map_.height)
    found = np.where(inside, 0.0, -1.0)
    columns, rows = (np.where(inside, values, -1).astype(np.int64) for values in (columns, rows))
    for start, stop in strips(map_, map_.width):
        here = np.flatnonzero((rows >= start) & (rows < stop))
        if len(here):
            found[here] = read_map(labels, (start, stop))[rows[here] - start, columns[here]]
    return found


def _degrees(map_: Any) -> Bounds:
    """Bounds of a map in degrees: those that W2W gets, which first warps it to longitude and latitude."""
    from rasterio.warp import transform_bounds

    west, south, east, north = transform_bounds(map_.crs, LON_LAT, *map_.bounds)
    return float(west), float(south), float(east), float(north)
