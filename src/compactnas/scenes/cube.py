"""Read netCDF files and Zarr stores through xarray, as rasters with the attributes of rasterio that a scene needs.

Bands are variables over (y, x), or the entries of a band dimension. Scale, offset and fill value are those of the
attributes `scale_factor`, `add_offset` and `_FillValue` (CF conventions); xarray's own decoding is off, so that they
are applied once, by the same code as for GeoTIFF.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.scenes.cube_files import check_store, engine_of, require_xarray
from compactnas.scenes.cube_grid import crs_of, named_axes, transform_of
from compactnas.scenes.files import MOST_PIXELS, MOST_ROW_VALUES

READ_ERRORS = (OSError, RuntimeError, ValueError, LookupError, TypeError, OverflowError, MemoryError, AttributeError)
"""Errors that xarray's readers raise for damaged files."""
BAND_NAMES = ("long_name", "band_names", "bands")
"""Attributes that name the entries of a band dimension, if its coordinate does not."""
LARGEST = 512
"""Largest number of bands."""


@dataclass(frozen=True)
class CubeBand:
    """A band of a cube.

    Attributes:
        name: Name of the band; empty if it has none.
        variable: Variable of xarray with the band.
        entry: Position along the band dimension, or None.
    """

    name: str
    variable: Any
    entry: int | None

    def number(self, key: str, default: float) -> float:
        """Number in an attribute of the variable."""
        value = np.asarray(self.variable.attrs.get(key, default)).ravel()
        return float(value[0]) if value.size and value.dtype.kind in "iuf" else default

    @property
    def none(self) -> float | None:
        """Fill value of the band."""
        for key in ("_FillValue", "missing_value"):
            if key in self.variable.attrs:
                return self.number(key, float("nan"))
        return None


class Cube:
    """An open cube with the attributes of a raster of rasterio that scenes use."""

    def __init__(self, data: Any, path: Path, driver: str) -> None:
        self.name, self.driver = str(path), driver
        self._path = path
        self._y, self._x = named_axes(data, path)
        self._bands = tuple(_bands_of(data, (self._y, self._x), path))
        self.count = len(self._bands)
        self.height, self.width = int(data.sizes[self._y]), int(data.sizes[self._x])
        _require_size(self, path)
        self.transform, self._flipped = transform_of(data, self._y, self._x, path)
        self.crs = crs_of(data, [band.variable for band in self._bands], path)
        self.descriptions = tuple(band.name or None for band in self._bands)
        self.dtypes = tuple(str(band.variable.dtype.newbyteorder("=")) for band in self._bands)
        self.scales = tuple(band.number("scale_factor", 1.0) for band in self._bands)
        self.offsets = tuple(band.number("add_offset", 0.0) for band in self._bands)
        self.nodatavals = tuple(band.none for band in self._bands)
        self.nodata = self.nodatavals[0]
        self.mask_flag_enums: tuple[list[Any], ...] = tuple([] for _ in self._bands)

    def read(self, numbers: Sequence[int], window: Any) -> NDArray[Any]:
        """Read bands by number, from 1, over a window of rasterio: (bands, height, width)."""
        top, bottom = int(window.row_off), int(window.row_off + window.height)
        if self._flipped:
            top, bottom = self.height - bottom, self.height - top
        part = {self._y: slice(top, bottom), self._x: slice(int(window.col_off), int(window.col_off + window.width))}
        try:
            found = np.stack([self._cut(self._bands[number - 1], part) for number in numbers])
        except READ_ERRORS as error:
            raise UserError(f"{self._path}: cannot be read ({_reason(error)}); write it again") from error
        return found[:, ::-1] if self._flipped else found

    def _cut(self, band: CubeBand, part: dict[str, slice]) -> NDArray[Any]:
        variable = band.variable.isel(part)
        for name in variable.dims:
            if name not in part:
                variable = variable.isel({name: band.entry or 0})
        values = np.asarray(variable.transpose(self._y, self._x).values)
        return values.astype(values.dtype.newbyteorder("="), copy=False)


@contextmanager
def opened_cube(path: Path) -> Iterator[Cube]:
    """Open a netCDF file or a Zarr store.

    Raises:
        UserError: xarray is not installed, or the file is not such a cube.
    """
    require_xarray(str(path))
    engine, driver = engine_of(path)
    check_store(path, engine)
    import xarray

    options = {"consolidated": False} if engine == "zarr" else {}
    try:
        data = xarray.open_dataset(
            path, engine=engine, decode_cf=False, cache=False, chunks=None, backend_kwargs=options or None
        )
    except READ_ERRORS as error:
        raise _unreadable(path, driver, error) from error
    with data:
        try:
            cube = Cube(data, path, driver)
        except READ_ERRORS as error:
            if isinstance(error, UserError):
                raise
            raise _unreadable(path, driver, error) from error
        yield cube


def _bands_of(data: Any, axes: tuple[str, str], path: Path) -> Iterator[CubeBand]:
    """List the bands of all variables over both axes, without coordinates such as 2-D longitudes."""
    beside = {name for one in data.variables.values() for name in str(one.attrs.get("coordinates", "")).split()}
    many = [
        variable
        for name, variable in data.data_vars.items()
        if set(axes) <= set(variable.dims)
        and variable.dtype.kind in "iuf"
        and name not in beside
        and variable.attrs.get("standard_name") not in ("latitude", "longitude")
        and not str(variable.attrs.get("units", "")).startswith(("degrees_north", "degrees_east"))
    ]
    if not many:
        raise UserError(
            f"{path}: has no variable of numbers over {axes[0]} and {axes[1]}; write the bands as variables"
        )
    for variable in many:
        others = [name for name in variable.dims if name not in axes and variable.sizes[name] > 1]
        if len(others) > 1 or (others and _is_time(data, others[0])):
            sizes = ", ".join(f"{variable.sizes[name]} x {name}" for name in others)
            raise UserError(f"{path}: {variable.name} has {sizes}; select one date (xarray: .isel({others[0]}=0))")
        if not others:
            single = [name for name in variable.dims if name not in axes and not _is_time(data, name)]
            names = _entries(data, variable, single[0]) if single and len(many) == 1 else [str(variable.name)]
            yield CubeBand(names[0], variable, None)
            continue
        if variable.sizes[others[0]] > LARGEST:
            raise UserError(f"{path}: {variable.name} has {variable.sizes[others[0]]} bands; drop some")
        for entry, name in enumerate(_entries(data, variable, others[0])):
            yield CubeBand(name, variable, entry)


def _is_time(data: Any, name: str) -> bool:
    units = str(data[name].attrs.get("units", "")) if name in data.variables else ""
    return name.lower() in ("time", "t", "date") or " since " in units


def _entries(data: Any, variable: Any, axis: str) -> list[str]:
    """Names of the entries of a band dimension; empty texts if they have none."""
    count = int(variable.sizes[axis])
    labels = np.asarray(data[axis].values).ravel()[:count] if axis in data.variables else np.empty(0)
    names = [_text(label) for label in labels] if labels.dtype.kind in "OSUT" else []
    for key in BAND_NAMES:
        given = variable.attrs.get(key)
        if not names and isinstance(given, list | tuple | np.ndarray):
            names = [_text(name) for name in given]
    return names if len(names) == count else [""] * count


def _text(label: Any) -> str:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)


def _require_size(cube: Cube, path: Path) -> None:
    if cube.width * cube.height > MOST_PIXELS:
        raise UserError(f"{path}: says that it is {cube.width} x {cube.height} pixels; cut it into smaller files")
    if cube.width * cube.count > MOST_ROW_VALUES:
        raise UserError(f"{path}: declares {cube.count} bands of {cube.width} pixels a row, too many; drop bands")


def _unreadable(path: Path, driver: str, error: Exception) -> UserError:
    return UserError(f"{path}: cannot be read as {driver} ({_reason(error)}); write it again")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
