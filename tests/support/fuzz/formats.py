"""Changes that leave HDF5, TIFF, GeoPackage and YAML files readable by their libraries, and say odd things in them."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from random import Random
from typing import Any

import h5py
import numpy as np
import yaml

from support.fuzz.values import EXTREMES, TEXTS, number

SIZES = (0, 1, 2, 3, 17, 2**20, 2**26, 2**32, 10**12, 2**62)
DTYPES = ("u1", "i8", "f2", "f4", "f8", ">f8", "c16", "S1", "S8", "S100000", "bool", "V4", "i4,f8", "M", "vlen", "enum")


def hdf5(random: Random, content: bytes) -> bytes:
    """One object of the file made another one: other shape, dtype, storage, link, or kind of object."""
    buffer = BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        key = random.choice(sorted(file) or ["label"])
        if random.random() < 0.2:
            _attribute(random, file, key)
        else:
            old, found = file.get(key, getlink=True), None
            if isinstance(old, h5py.HardLink) and isinstance(file[key], h5py.Dataset):
                found = file[key]
            shape = found.shape if found is not None else (17,)
            values = found[()] if found is not None and found.size and found.size < 10_000 else np.zeros(17)
            if old is not None:
                del file[key]
            _put(random, file, key, shape or (17,), values)
    return buffer.getvalue()


def _attribute(random: Random, file: h5py.File, key: str) -> None:
    holder = file[key] if random.random() < 0.5 else file
    values = (np.zeros(3), "x", b"\xff", np.bytes_(b""), h5py.Empty("f4"), 2**40, [["a", "b"]])
    holder.attrs[random.choice(("CLASS", "DIMENSION_LIST", "_FillValue", "\u00e9", "x" * 40))] = random.choice(values)


def _put(random: Random, file: h5py.File, key: str, shape: tuple[int, ...], values: Any) -> None:
    kind = random.randrange(10)
    if kind == 0:
        file[key] = random.choice((h5py.SoftLink(f"/{key}"), h5py.SoftLink("/sen2"), h5py.ExternalLink("/etc/x", "a")))
    elif kind == 1:
        file.create_group(key)
    elif kind == 2:
        file[key] = np.dtype(random.choice(("f4", "i8", "S4")))
    elif kind == 3:
        file[key] = random.choice((h5py.Empty("f8"), "text", 3.5, np.array(["a"], object), np.array([b"a\xff"] * 17)))
    elif kind == 4:
        file[key] = np.asarray(values).astype(random.choice(("f4", "u1", "i8", "S5", "f2")))
    else:
        axis = random.randrange(len(shape))
        sizes = list(shape)
        if random.random() < 0.7:
            sizes[axis] = random.choice(SIZES)
        if random.random() < 0.1:
            sizes = sizes[:-1] if random.random() < 0.5 else [*sizes, random.choice((0, 1, 2))]
        storage: dict[str, Any] = {}
        if random.random() < 0.6:
            storage["chunks"] = tuple(max(1, min(size, random.choice((1, 4, 64, 2**16, 2**22)))) for size in sizes)
            storage |= random.choice(({}, {"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}))
        file.create_dataset(key, tuple(sizes), _dtype(random), **storage)


def _dtype(random: Random) -> Any:
    name = random.choice(DTYPES)
    if name == "vlen":
        return random.choice((h5py.string_dtype(), h5py.vlen_dtype("i4"), h5py.ref_dtype))
    if name == "enum":
        return h5py.enum_dtype({"a": 0, "b": 1})
    return np.dtype("f8" if random.random() < 0.5 or name == "M" else name)


def tiff(random: Random, content: bytes) -> bytes:
    """A tag of a little-endian TIFF given another value, count, type or name."""
    if content[:4] != b"II*\x00":
        raise ValueError("another TIFF")
    data = bytearray(content)
    (start,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, start)
    at = start + 2 + 12 * random.randrange(tags)
    _tag, kind, count, where = struct.unpack_from("<HHII", data, at)
    what = random.randrange(5)
    if what == 0:
        struct.pack_into(
            "<H", data, at, random.choice((256, 257, 258, 259, 262, 273, 277, 278, 279, 322, 339, 34735, 42113))
        )
    elif what == 1:
        struct.pack_into("<H", data, at + 2, random.randrange(20))
    elif what == 2:
        struct.pack_into("<I", data, at + 4, int(number(random)) % 2**32)
    elif what == 3 or count * {3: 2, 4: 4, 12: 8}.get(kind, 1) <= 4:
        struct.pack_into("<I", data, at + 8, int(number(random)) % 2**32)
    else:  # what the tag points to: geo keys, transforms, offsets of strips
        size = {3: 2, 4: 4, 12: 8}.get(kind, 1)
        place = where + size * random.randrange(count)
        new = struct.pack("<d", float(number(random))) if size == 8 else random.randbytes(size)
        data[place : place + size] = new
    return bytes(data)


def geopackage(random: Random, content: bytes) -> bytes:
    """A cell given another value, or a table changed by what SQLite can say."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = random.choice(tables)
        columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
        column = random.choice(columns)
        if random.random() < 0.8:
            old = database.execute(f'SELECT "{column}" FROM "{table}" LIMIT 1').fetchone()
            database.execute(f'UPDATE "{table}" SET "{column}" = ?', (_cell(random, old[0] if old else None),))
        else:
            database.execute(
                random.choice(
                    (
                        f'DELETE FROM "{table}"',
                        f'DROP TABLE "{table}"',
                        f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "{random.choice(("x", "geom", "fid"))}"',
                        f'ALTER TABLE "{table}" ADD COLUMN "lcz2" {random.choice(("BLOB", "TEXT", "DATE", "JSON"))}',
                        f'INSERT INTO "{table}" SELECT * FROM "{table}"',
                        f'CREATE VIEW "v{random.randrange(9)}" AS SELECT * FROM "{table}"',
                    )
                )
            )
        database.commit()
        return database.serialize()


def _cell(random: Random, old: Any) -> Any:
    """Another value for a cell; bytes, such as a geometry, are changed in one place."""
    if isinstance(old, bytes) and old and random.random() < 0.7:
        changed = bytearray(old)
        changed[random.randrange(len(changed))] = random.choice((0, 1, 2, 3, 6, 7, 0x7F, 0xFF, random.randrange(256)))
        return bytes(changed)
    value = random.choice((*EXTREMES, *TEXTS, None, b"", b"GP\0\1", b"\xff" * 40))
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if not isinstance(value, int) or abs(value) < 2**63 else float(number(random))


def yaml_text(random: Random, content: bytes, changed: Callable[[Random, Any], Any]) -> bytes:
    """A part of the document replaced; now and then with what only YAML can say."""
    values = changed(random, yaml.safe_load(content))
    if isinstance(values, dict) and random.random() < 0.2:
        name = random.choice(list(values) or ["seed"])
        values[random.choice((3, None, 2.5, True, "class_path", name))] = random.choice(
            (*EXTREMES, *TEXTS, b"x", {1, 2})
        )
    try:
        return yaml.safe_dump(values, sort_keys=False).encode("utf-8", "surrogateescape")
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(str(error)) from None
