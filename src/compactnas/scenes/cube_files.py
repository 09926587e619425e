"""Check netCDF files and Zarr stores before xarray opens them: one engine each, no links, no codecs that run code."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.errors import UserError
from compactnas.io.extras import require_extra
from compactnas.io.untrusted import parse_json, read_text
from compactnas.scenes.files import MOST_BLOCK_BYTES

SUFFIXES = {".nc", ".nc4", ".cdf", ".netcdf"}
ZARR = ("zarr.json", ".zgroup")
"""Files that mark a folder as a Zarr store, of format 3 or 2."""
HDF5, CLASSIC = b"\x89HDF\r\n\x1a\n", (b"CDF\x01", b"CDF\x02")
CODECS = {
    *("blosc", "zstd", "lz4", "gzip", "zlib", "bz2", "lzma", "shuffle", "delta", "fixedscaleoffset", "quantize"),
    *("bytes", "endian", "transpose", "crc32c", "crc32", "adler32", "fletcher32", "sharding_indexed", "vlen-utf8"),
    *("vlen-bytes", "packbits", "numcodecs.zlib", "numcodecs.zstd", "numcodecs.shuffle", "numcodecs.blosc"),
}
"""Codecs of Zarr that only compress or order bytes; others, such as `pickle`, could run code from the store."""
CODEC_KEYS = ("codecs", "index_codecs", "filters", "compressor", "compressors")
MOST_MEMBERS = 2000
"""Most variables of a file."""
MOST_JSON = 2**22
AGAIN = "write it again with xarray's to_netcdf or to_zarr"


def is_store(path: Path) -> bool:
    """Check for the folder of a Zarr store."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR)


def is_cube(path: Path) -> bool:
    """Check for a netCDF file or a Zarr store, by name and folder."""
    return is_store(path) or (path.suffix.lower() in SUFFIXES and path.is_file())


def require_xarray(what: str) -> None:
    """Check that xarray is installed.

    Raises:
        UserError: It is not installed.
    """
    require_extra("map", f"{what}: netCDF and Zarr need xarray", "xarray", "rasterio", "pyproj")


def engine_of(path: Path) -> tuple[str, str]:
    """Name of xarray's engine for a file by its first bytes, and of the format.

    Raises:
        UserError: The file is neither netCDF nor Zarr, or the engine is not installed.
    """
    if path.is_dir():
        engine, name = "zarr", "Zarr"
    else:
        try:
            with path.open("rb") as file:
                start = file.read(8)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror or error}; check the file") from None
        if start == HDF5:
            engine, name = "h5netcdf", "netCDF"
        elif start[:4] in CLASSIC:
            engine, name = "scipy", "netCDF"
        else:
            raise UserError(f"{path}: is no netCDF file of version 3 or 4; {AGAIN}")
    require_extra("map", f"{path}: {name} needs {engine}", engine)
    return engine, name


def check_store(path: Path, engine: str) -> None:
    """Check that a file refers to no other data, and that its chunks fit in memory.

    Raises:
        UserError: It has links to other files, unknown codecs, or chunks that are too large.
    """
    if engine == "h5netcdf":
        _check_hdf5(path)
    if engine == "zarr":
        _check_zarr(path)


def _check_hdf5(path: Path) -> None:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            names = list(file.keys())
            if len(names) > MOST_MEMBERS:
                raise UserError(f"{path}: has {len(names)} variables; write the bands of one scene alone")
            for name in names:
                inside = isinstance(file.get(name, getlink=True), h5py.HardLink)
                found = file[name] if inside else None
                outside = isinstance(found, h5py.Dataset) and (found.is_virtual or found.external)
                if not inside or outside:
                    raise UserError(f"{path}: `{name[:40]}` is a link to other data; {AGAIN}")
                if isinstance(found, h5py.Dataset) and found.chunks:
                    _require_chunk(math.prod(found.chunks) * found.dtype.itemsize, name, path)
    except (OSError, RuntimeError, ValueError, LookupError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        text = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: cannot be read as a netCDF ({text}); {AGAIN}") from error


def _check_zarr(path: Path) -> None:
    """Check the metadata of each array of a store; symbolic links could lead anywhere."""
    for file in _metadata(path):
        try:
            values = parse_json(read_text(file, AGAIN, MOST_JSON))
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{file}: is not JSON ({error}); {AGAIN}") from None
        for codec in _codecs(values):
            if codec not in CODECS:
                raise UserError(f"{file}: is stored with the codec {codec[:40]!r}, which is not read; {AGAIN}")
        if isinstance(values, dict):
            _require_chunk(_chunk_bytes(values), file.parent.name, path)


def _metadata(path: Path) -> Iterator[Path]:
    """Metadata files of a store and of its arrays."""
    entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    if len(entries) > MOST_MEMBERS:
        raise UserError(f"{path}: has {len(entries)} entries; write the bands of one scene alone")
    for folder in (path, *(Path(entry.path) for entry in entries if entry.is_dir())):
        if folder.is_symlink() and folder != path:
            raise UserError(f"{folder}: is a link; put the files of the array there")
        yield from (folder / name for name in ("zarr.json", ".zarray", ".zgroup") if (folder / name).is_file())


def _codecs(values: Any, inside: bool = False) -> Iterator[str]:
    """Yield the names of all codecs in the metadata of an array, at any depth."""
    if isinstance(values, list):
        for one in values:
            if inside and isinstance(one, str):
                yield one
            yield from _codecs(one, inside)
    if not isinstance(values, dict):
        return
    name = values.get("id", values.get("name"))
    if inside and isinstance(name, str):
        yield name
    for key, value in values.items():
        if key in CODEC_KEYS or (inside and key == "configuration"):
            yield from _codecs(value, key != "configuration")


def _chunk_bytes(values: dict[str, Any]) -> int:
    """Size of a chunk of an array in bytes; 0 for a group."""
    grid = values.get("chunk_grid")
    shape = values.get("chunks") or (grid.get("configuration", {}).get("chunk_shape") if isinstance(grid, dict) else [])
    try:
        size = np.dtype(values.get("dtype") or values.get("data_type") or "u1").itemsize
        return math.prod(int(side) for side in shape or [0]) * max(1, size)
    except (TypeError, ValueError):
        return 0


def _require_chunk(size: int, name: str, path: Path) -> None:
    if size > MOST_BLOCK_BYTES:
        raise UserError(f"{path}: `{name[:40]}` is stored in chunks of {size >> 20} MiB; write it in smaller ones")
