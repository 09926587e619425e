"""WRF domains as geogrid writes them, in HDF5 and in classic netCDF; one line for what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from compactnas.errors import UserError
from compactnas.scenes.wrf import is_domain, read_domain

LATITUDE, LONGITUDE = (values.astype("f4") for values in np.meshgrid([41.0, 41.5, 42.0], [-1.7, -1.0], indexing="ij"))


def hdf5(file: Path, names: tuple[str, str] = ("XLAT_M", "XLONG_M"), **changes: object) -> Path:
    with h5py.File(file, "w") as content:
        for name, values in zip(names, (LATITUDE, LONGITUDE), strict=True):
            content[name] = changes.get(name, values[None])
    return file


def classic(file: Path, version: int) -> Path:
    with netcdf_file(file, "w", version=version) as content:
        content.createDimension("Time", None)
        content.createDimension("south_north", 3)
        content.createDimension("west_east", 2)
        for name, values in (("XLAT_M", LATITUDE), ("XLONG_M", LONGITUDE)):
            content.createVariable(name, "f4", ("Time", "south_north", "west_east"))[0] = values
    return file


MAKERS: dict[str, Callable[[Path], Path]] = {
    "HDF5": hdf5,
    "wrfinput": lambda file: hdf5(file, ("XLAT", "XLONG")),
    "classic": lambda file: classic(file, 1),
    "classic, 64-bit offsets": lambda file: classic(file, 2),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_the_middles_of_the_cells_are_read(tmp_path: Path, kind: str) -> None:
    found = read_domain(MAKERS[kind](tmp_path / "geo_em.d01.nc"))
    np.testing.assert_array_equal(found.latitude, LATITUDE.astype(float))
    np.testing.assert_allclose(found.longitude, LONGITUDE.astype(float), rtol=0, atol=1e-12)
    assert found.bounds == pytest.approx((-1.7, 41, -1, 42), abs=1e-6)


def test_longitudes_up_to_360_are_turned_west(tmp_path: Path) -> None:
    file = hdf5(tmp_path / "geo_em.d01.nc", XLONG_M=LONGITUDE[None] + 360)
    np.testing.assert_allclose(read_domain(file).longitude, LONGITUDE, atol=1e-4)


def test_a_domain_is_known_by_its_name() -> None:
    assert [is_domain(Path(name)) for name in ("geo_em.d01.nc", "a.NC", "geo_em.d01", "a.tif")] == [True] * 3 + [False]


def linked(file: Path) -> None:
    hdf5(file.with_name("other.nc"))
    with h5py.File(file, "w") as content:
        content["XLAT_M"] = h5py.ExternalLink("other.nc", "XLAT_M")
        content["XLONG_M"] = LONGITUDE[None]


def cut(file: Path, kind: str) -> None:
    whole = MAKERS[kind](file).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def chunked(file: Path) -> None:
    with h5py.File(file, "w") as content:
        for name in ("XLAT_M", "XLONG_M"):
            content.create_dataset(name, (1, 8000, 8000), "f4", chunks=(1, 8000, 8000))


def many(file: Path) -> None:
    with h5py.File(file, "w") as content:
        for name in ("XLAT_M", "XLONG_M"):
            content.create_dataset(name, (1, 80_000, 80_000), "f4", chunks=(1, 100, 100))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda file: None, r"cannot be read \(No such file"),
    "text": (lambda file: file.write_text("CDF, or so"), "is not a netCDF file; give the geo_em file"),
    "other names": (lambda file: hdf5(file, ("lat", "lon")), "has no XLAT_M and XLONG_M; give the geo_em file"),
    "a link": (linked, "XLAT_M is not stored in this file"),
    "cut short": (lambda file: cut(file, "HDF5"), "cannot be read as netCDF"),
    "classic, cut short": (lambda file: cut(file, "classic"), "cannot be read as netCDF|has no XLAT_M"),
    "huge chunks": (chunked, "is stored in chunks of more than 64 MiB"),
    "huge": (many, r"XLAT_M of shape \(1, 80000, 80000\) and type float32 is not the cells of a domain"),
    "no degrees": (lambda file: hdf5(file, XLAT_M=LATITUDE[None] * 10), "holds latitudes or longitudes that are not"),
    "NaN": (lambda file: hdf5(file, XLAT_M=LATITUDE[None] * np.nan), "holds latitudes or longitudes that are not"),
    "two shapes": (lambda file: hdf5(file, XLAT_M=LATITUDE[None, :2]), "have other shapes than a domain's cells"),
    "whole numbers": (lambda file: hdf5(file, XLAT_M=LATITUDE[None].astype(int)), "is not the cells of a domain"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_domain_is_one_line(tmp_path: Path, name: str) -> None:
    make, message = WRONG[name]
    make(tmp_path / "geo_em.d01.nc")
    with pytest.raises(UserError, match=message) as caught:
        read_domain(tmp_path / "geo_em.d01.nc")
    assert str(caught.value).startswith(f"{tmp_path}") and "\n" not in str(caught.value)
