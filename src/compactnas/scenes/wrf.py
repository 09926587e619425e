"""Read the cells of a WRF domain from its `geo_em` file, as geogrid (WPS) writes it: HDF5 or classic netCDF."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from compactnas.errors import UserError

PAIRS = (("XLAT_M", "XLONG_M"), ("XLAT", "XLONG"))
"""Names of latitude and longitude at the middle of the cells: in `geo_em`, and in `wrfinput`."""
CORNERS = ("XLAT_C", "XLONG_C")
"""Names of latitude and longitude at the corners of the cells in `geo_em`."""
HDF5, CLASSIC, FIFTH = b"\x89HDF\r\n\x1a\n", (b"CDF\x01", b"CDF\x02"), b"CDF\x05"
MOST_CELLS, MOST_CHUNK_BYTES = 2**24, 2**26
DAMAGE = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError)
"""Errors that the readers raise for a damaged file, depending on the location of the damage."""
AGAIN = "make it again with geogrid (WPS)"
Pairs = tuple[tuple[str, str], ...]


class Domain(NamedTuple):
    """Middles of the cells of a WRF domain.

    Attributes:
        longitude: Degrees east.
        latitude: Degrees north.
    """

    longitude: Float64[np.ndarray, "rows columns"]
    latitude: Float64[np.ndarray, "rows columns"]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest longitude and latitude of the middles, and the largest ones."""
        longitude, latitude = self
        return float(longitude.min()), float(latitude.min()), float(longitude.max()), float(latitude.max())


def is_domain(file: Path) -> bool:
    """Check for a file of suffix `.nc`, or with a name that starts with `geo_em.`."""
    return file.suffix.lower() == ".nc" or file.name.startswith("geo_em.")


def read_domain(file: Path) -> Domain:
    """Read the middles of the cells of a domain.

    Raises:
        UserError: The file is not a `geo_em` file, or it is damaged.
    """
    return _read(file, PAIRS)[1]


def read_edges(file: Path) -> tuple[float, float, float, float]:
    """Read the bounds of the cells of a domain: left, bottom, right and top in degrees.

    They are those of the corners, or half a cell beyond the middles if the file has no corners.

    Raises:
        UserError: The file is not a `geo_em` file, it is damaged, or the domain crosses the date line.
    """
    names, domain = _read(file, (CORNERS, *PAIRS))
    left, bottom, right, top = domain.bounds
    if right - left > 180:
        raise UserError(f"{file}: crosses the date line, which needs two scenes; give the bounding box of each")
    x, y = (0.0 if names == CORNERS else _cell(values) / 2 for values in domain)
    return left - x, bottom - y, right + x, top + y


def _cell(degrees: Float64[np.ndarray, "rows columns"]) -> float:
    """Largest difference between neighbouring cells."""
    return max(float(np.abs(np.diff(degrees, axis=axis)).max(initial=0)) for axis in (0, 1))


def _read(file: Path, pairs: Pairs) -> tuple[tuple[str, str], Domain]:
    """Read the first of these pairs of coordinates that a file has."""
    try:
        with file.open("rb") as stream:
            start = stream.read(len(HDF5))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); check the spelling") from None
    reader = _hdf5 if start == HDF5 else _classic if start[:4] in CLASSIC else None
    if reader is None:
        if start.startswith(FIFTH):
            raise UserError(f"{file}: is no netCDF file of format 3 or 4; convert it with nccopy -k nc4")
        raise UserError(f"{file}: is not a netCDF file; give the geo_em file of a WRF domain")
    try:
        names, found = reader(file, pairs)
        latitude, longitude = (np.array(values, np.float64) for values in found)
    except UserError:
        raise
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{file}: cannot be read as netCDF ({reason}); {AGAIN}") from None
    latitude, longitude = (values[0] if values.ndim == 3 else values for values in (latitude, longitude))
    if latitude.ndim != 2 or latitude.shape != longitude.shape or not latitude.size:
        raise UserError(f"{file}: latitude and longitude have other shapes than a domain's cells; {AGAIN}")
    if not ((np.abs(latitude) <= 90) & (np.abs(longitude) <= 360)).all():
        raise UserError(f"{file}: holds latitudes or longitudes that are not degrees; {AGAIN}")
    return names, Domain((longitude + 180) % 360 - 180, latitude)


def _names(file: Path, known: Any, pairs: Pairs) -> tuple[str, str]:
    for pair in pairs:
        if all(name in known for name in pair):
            return pair
    raise UserError(f"{file}: has no {' and '.join(PAIRS[0])}; give the geo_em file of a WRF domain")


def _hdf5(file: Path, pairs: Pairs) -> tuple[tuple[str, str], list[Any]]:
    """Read a pair with h5py; h5netcdf takes 20 s to open a domain, the square of its number of variables."""
    import h5py

    with h5py.File(file, "r") as content:
        names = _names(file, content, pairs)
        found = []
        for name in names:
            inside = isinstance(content.get(name, getlink=True), h5py.HardLink)
            data = content[name] if inside else None
            # Links and external storage could point to any file.
            if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external or data.shape is None:
                raise UserError(f"{file}: {name} is not stored in this file; {AGAIN}")
            if math.prod(data.chunks or (1,)) * data.dtype.itemsize > MOST_CHUNK_BYTES:
                raise UserError(
                    f"{file}: {name} is stored in chunks of more than {MOST_CHUNK_BYTES >> 20} MiB; {AGAIN}"
                )
            _require_cells(file, name, data.shape, data.dtype)
            found.append(data[()])
    return names, found


def _classic(file: Path, pairs: Pairs) -> tuple[tuple[str, str], list[Any]]:
    from scipy.io import netcdf_file

    with netcdf_file(file, mmap=False) as content:
        names = _names(file, content.variables, pairs)
        for name in names:
            _require_cells(file, name, content.variables[name].shape, content.variables[name].data.dtype)
        return names, [np.array(content.variables[name].data) for name in names]


def _require_cells(file: Path, name: str, shape: tuple[int, ...], dtype: Any) -> None:
    if len(shape) not in (2, 3) or math.prod(shape) > MOST_CELLS or np.dtype(dtype).kind != "f":
        raise UserError(f"{file}: {name} of shape {shape} and type {dtype} is not the cells of a domain; {AGAIN}")
