"""Find axes, pixel grid and coordinate system of a netCDF file or Zarr store (CF conventions)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError

AXES = (("y", "x"), ("lat", "lon"), ("latitude", "longitude"), ("northing", "easting"), ("Y", "X"))
"""Usual names of the axes."""
GRID_MAPPINGS = ("spatial_ref", "crs", "grid_mapping", "projection")
"""Usual names of the variable that describes the coordinate system, besides the one that a band names."""
WKT = re.compile(r"\s*(?:PROJC|GEOGC|GEODC|COMPD|COMPOUNDC|BOUNDC|LOCAL_C|ENGC|GEOCC)[A-Z_]*\s*\[", re.IGNORECASE)
"""Start of a coordinate system as text; other texts could name files or addresses."""
CODE = re.compile(r"(?:urn:ogc:def:crs:)?EPSG:(?::|[\d.]*:)?(\d{4,6})", re.IGNORECASE)
EVEN = 1e-3
"""Largest difference between the steps of an axis, as a share of a step."""
LONGEST = 2**17
"""Most entries of an axis."""


def named_axes(data: Any, path: Path) -> tuple[str, str]:
    """Names of the vertical and the horizontal axis.

    Raises:
        UserError: There are none.
    """
    for y, x in AXES:
        if y in data.sizes and x in data.sizes:
            return y, x
    known = ", ".join(map(str, data.sizes))
    raise UserError(f"{path}: has dimensions {known or '(none)'}, but no y and x; rename them (xarray: .rename)")


def transform_of(data: Any, y: str, x: str, path: Path) -> tuple[Any, bool]:
    """Affine transform of the pixels, and whether the rows run north, so that they must be flipped.

    Raises:
        UserError: The axes have no coordinates, or uneven ones.
    """
    from rasterio import Affine

    rows, columns = (_centres(data, axis, path) for axis in (y, x))
    (top, down), (left, across) = _steps(rows, y, path), _steps(columns, x, path)
    if across < 0:
        raise UserError(f"{path}: its axis {x} runs west; sort it (xarray: .sortby({x!r}))")
    if down > 0:
        top, down = float(rows[-1]), -down
        flipped = True
    else:
        flipped = False
    return Affine(across, 0.0, left - across / 2, 0.0, down, top - down / 2), flipped


def _centres(data: Any, axis: str, path: Path) -> NDArray[np.float64]:
    if data.sizes[axis] > LONGEST:
        raise UserError(f"{path}: says that {axis} has {data.sizes[axis]} entries; cut it into smaller files")
    variable = data.variables.get(axis)
    if variable is None or variable.dtype.kind not in "iuf" or variable.ndim != 1:
        raise UserError(f"{path}: has no coordinates for {axis}; write them as a variable {axis}({axis})")
    scale, offset = (np.ravel(variable.attrs.get(key, of))[0] for key, of in (("scale_factor", 1), ("add_offset", 0)))
    return np.asarray(variable.values, np.float64) * float(scale) + float(offset)


def _steps(centres: NDArray[np.float64], axis: str, path: Path) -> tuple[float, float]:
    """First centre and step of an axis."""
    if len(centres) < 2:
        raise UserError(f"{path}: has {len(centres)} pixels along {axis}, too few to tell their size")
    step = (centres[-1] - centres[0]) / (len(centres) - 1)
    even = np.isfinite(centres).all() and step and np.abs(np.diff(centres) - step).max() <= EVEN * abs(step)
    if not even:
        raise UserError(f"{path}: its coordinates along {axis} are not evenly spaced; resample it to a regular grid")
    return float(centres[0]), float(step)


def crs_of(data: Any, variables: Sequence[Any], path: Path) -> Any:
    """Coordinate system of a cube, an object of rasterio; None if it names none.

    Raises:
        UserError: It is named, but not as text, as an EPSG code, or by the parameters of CF.
    """
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    for attributes in _descriptions(data, variables):
        try:
            for key in ("crs_wkt", "spatial_ref", "epsg_code", "proj:wkt2", "proj:epsg", "proj:code", "crs"):
                value = attributes.get(key)
                if isinstance(value, str) and WKT.match(value):
                    return CRS.from_wkt(value)
                if isinstance(value, str) and (code := CODE.fullmatch(value.strip())):
                    return CRS.from_epsg(int(code[1]))
                if key == "proj:epsg" and isinstance(value, int | np.integer):
                    return CRS.from_epsg(int(value))
            if "grid_mapping_name" in attributes:
                return _of_parameters(attributes)
        except (CRSError, ValueError, KeyError, TypeError) as error:
            text = " ".join(str(error).split())[:100]
            raise UserError(f"{path}: its coordinate system cannot be read ({text}); write it as WKT") from error
    return None


def _descriptions(data: Any, variables: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Attributes that can describe the coordinate system, the most certain ones first."""
    named = [str(one.attrs["grid_mapping"]) for one in variables if "grid_mapping" in one.attrs]
    for name in dict.fromkeys([*named, *GRID_MAPPINGS]):
        if name in data.variables:
            yield dict(data.variables[name].attrs)
    yield from (dict(one.attrs) for one in variables[:1])
    yield dict(data.attrs)


def _of_parameters(attributes: dict[str, Any]) -> Any:
    """Build a coordinate system from the numbers of a CF grid mapping; its texts are names in PROJ's own database."""
    import pyproj
    from pyproj.exceptions import CRSError
    from rasterio.crs import CRS

    known = {name: value for name, value in attributes.items() if name not in ("crs_wkt", "spatial_ref")}
    try:
        return CRS.from_wkt(pyproj.CRS.from_cf(known).to_wkt())
    except CRSError as error:
        raise ValueError(str(error)) from error
