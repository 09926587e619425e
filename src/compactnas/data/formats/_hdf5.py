"""Read HDF5 files safely: every fault becomes a `UserError`, and links out of the file are refused."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from compactnas.data.formats._hdf5_text import LONGEST, is_variable, read_names
from compactnas.errors import UserError

MOST_CHUNK_BYTES = 2**26
"""Maximum size of a chunk in bytes. HDF5 unpacks a whole chunk for one value, and a small file can hold a large one."""
READ_ERRORS = (OSError, RuntimeError, ValueError, LookupError, TypeError, OverflowError, MemoryError)
"""Errors that h5py raises for a damaged file, depending on the location of the damage."""


def open_file(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if not path.is_file() or error.errno in (1, 13):
            raise UserError(f"{path}: cannot be read ({error.strerror or 'it is not a file'})") from error
        raise UserError(
            f"{path}: is not an HDF5 file, or it is cut short; get it again or check data.format"
        ) from error


def dataset_of(file: h5py.File, path: Path, key: str, text: bool = False) -> h5py.Dataset:
    """Open a dataset of this file; refuse links and external storage, which could point to any file."""
    try:
        keys = sorted(file.keys())
        if key not in keys:
            raise UserError(f"{path}: has no `{key}`; it has {', '.join(keys) or 'nothing'}")
        inside = isinstance(file.get(key, getlink=True), h5py.HardLink)
        found = file[key] if inside else None
        if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external or found.shape is None:
            raise UserError(f"{path}: `{key}` is not a data set of this file; write its values into the file")
        dtype, chunk = found.dtype, math.prod(found.chunks or (1,)) * found.dtype.itemsize
    except READ_ERRORS as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: `{key}` is damaged ({reason(error)}); get the file again") from error
    if chunk > MOST_CHUNK_BYTES:
        raise UserError(f"{path}: `{key}` is stored in chunks of {chunk >> 20} MiB; write it in smaller ones")
    known = dtype.kind in "Siuf" or is_variable(dtype) if text else dtype.kind in "uif"
    if not known or dtype.itemsize > LONGEST:
        raise UserError(
            f"{path}: `{key}` is of dtype {str(dtype)[:40]}; it must be {'names' if text else 'real numbers'}"
        )
    return found


def reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def read_values(dataset: h5py.Dataset, path: Path, rows: slice | tuple[()] = ()) -> NDArray[np.generic]:
    try:
        with np.errstate(all="ignore"):
            return np.asarray(dataset[rows])
    except READ_ERRORS as error:
        raise UserError(f"{path}: {dataset.name[1:]} is damaged ({reason(error)}); get the file again") from error


def read_texts(dataset: h5py.Dataset, path: Path) -> NDArray[np.generic]:
    """Read names of fixed or variable length."""
    if dataset.dtype.kind != "O":
        return read_values(dataset, path)
    try:
        return np.array(read_names(dataset, path), object)
    except (*READ_ERRORS, zlib.error, struct.error) as error:
        raise UserError(f"{path}: {dataset.name[1:]} is damaged ({reason(error)}); get the file again") from error


def has_key(file: h5py.File, path: Path, key: str) -> bool:
    try:
        return key in file
    except READ_ERRORS as error:
        raise UserError(f"{path}: is damaged ({reason(error)}); get the file again") from error
