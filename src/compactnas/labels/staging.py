"""Copy a file of polygons into a private folder, so that GDAL reads and writes nothing outside it.

GDAL recognises a format by content: a `.geojson` could be a virtual format that refers to other files. So a copy holds
only what its suffix promises.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from compactnas.errors import UserError
from compactnas.io.untrusted import MOST_BYTES
from compactnas.labels.geojson import plain_geojson
from compactnas.labels.kml import kml_in_kmz, plain_kml

MOST_BINARY_BYTES = 2**28
"""Maximum size of a binary file of polygons, unpacked."""
MOST_ZIP_BYTES = 2**25
"""Maximum size of a zip file; its list of contents is read as a whole."""
SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg")
"""Files of a shapefile; the first three are needed."""


class Staged(NamedTuple):
    """A file that GDAL may open.

    Attributes:
        path: Path of the copy.
        driver: Name of the one GDAL driver that may open it.
        crs: Coordinate system, if it is known; otherwise, the file names it.
        notes: Omissions, one line each.
    """

    path: Path
    driver: str
    crs: str = ""
    notes: tuple[str, ...] = ()


@contextmanager
def staged(file: Path) -> Iterator[Staged]:
    """Copy a file into a temporary folder, checked and with its parts.

    Raises:
        UserError: The file does not exist, is too large or is not of the format that its suffix names.
    """
    if not file.is_file():
        raise UserError(f"{file}: is not a file or does not exist; check the spelling")
    with tempfile.TemporaryDirectory(prefix="compactnas-") as folder:
        try:
            copy = STAGES[file.suffix.lower()](file, Path(folder))
        except OSError as error:
            text = error.strerror or error
            raise UserError(
                f"{file}: cannot be copied to {Path(folder).parent} ({text}); check the space and the permissions there"
            ) from error
        yield copy


def _geojson(file: Path, folder: Path) -> Staged:
    text, crs = plain_geojson(file)
    copy = folder / "labels.geojson"
    copy.write_text(text, encoding="utf-8")
    return Staged(copy, "GeoJSON", crs)


def _kml(file: Path, folder: Path) -> Staged:
    if file.suffix.lower() == ".kmz":
        _require_size(file, MOST_ZIP_BYTES)
        content = kml_in_kmz(file)
    else:
        _require_size(file, MOST_BYTES)
        content = file.read_bytes()
    text, links = plain_kml(content, file)
    copy = folder / "labels.kml"
    copy.write_text(text, encoding="utf-8")
    notes = (f"{file}: {links} links to other files are not followed",) if links else ()
    return Staged(copy, "LIBKML", notes=notes)


def _shapefile(file: Path, folder: Path) -> Staged:
    _require_start(file, b"\x00\x00\x27\x0a", "a shapefile")
    parts = {part.suffix.lower(): part for part in file.parent.iterdir() if part.stem == file.stem}
    _require_parts(file, set(parts))
    for suffix in SHAPEFILE:
        if suffix in parts:
            _require_size(parts[suffix], MOST_BINARY_BYTES)
            shutil.copyfile(parts[suffix], folder / f"labels{suffix}")
    return Staged(folder / "labels.shp", "ESRI Shapefile")


def _zipped(file: Path, folder: Path) -> Staged:
    _require_size(file, MOST_ZIP_BYTES)
    try:
        with zipfile.ZipFile(file) as archive:
            _unpack(archive, file, folder)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file}: is not a zip file ({error}); zip the shapefile again") from error
    _require_start(folder / "labels.shp", b"\x00\x00\x27\x0a", "a zipped shapefile", file)
    return Staged(folder / "labels.shp", "ESRI Shapefile")


def _unpack(archive: zipfile.ZipFile, file: Path, folder: Path) -> None:
    """Unpack the parts of the one shapefile in an archive."""
    entries = [one for one in archive.infolist() if not one.filename.startswith("__MACOSX/")]
    stems = [one.filename[:-4] for one in entries if one.filename.lower().endswith(".shp")]
    if len(stems) != 1:
        raise UserError(f"{file}: holds {len(stems)} shapefiles; zip exactly one")
    parts = {one.filename[-4:].lower(): one for one in entries if one.filename[:-4] == stems[0]}
    _require_parts(file, set(parts))
    left = MOST_BINARY_BYTES
    for suffix in SHAPEFILE:
        if suffix in parts:
            with archive.open(parts[suffix]) as inner, (folder / f"labels{suffix}").open("wb") as copy:
                while content := inner.read(2**20):
                    left -= len(content)
                    if left < 0:
                        most = MOST_BINARY_BYTES / 2**20
                        raise UserError(f"{file}: unpacks to more than {most:g} MiB; keep fewer polygons")
                    copy.write(content)


def _require_parts(file: Path, suffixes: set[str]) -> None:
    missing = [suffix for suffix in SHAPEFILE[:3] if suffix not in suffixes]
    if missing:
        raise UserError(f"{file}: its {' and '.join(missing)} is missing; a shapefile needs {', '.join(SHAPEFILE[:4])}")


def _geopackage(file: Path, folder: Path) -> Staged:
    _require_start(file, b"SQLite format 3\x00", "a GeoPackage")
    copy = _copied(file, folder / "labels.gpkg")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(copy))}?mode=ro&immutable=1", uri=True)) as database:
            database.text_factory = bytes
            rows = database.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    except (sqlite3.Error, UnicodeError) as error:  # a message of SQLite may quote bytes of the file
        raise UserError(f"{file}: is not a GeoPackage ({error}); export the polygons again") from error
    for (sql,) in rows:
        statement = bytes(sql or b"").lower()
        index = re.match(rb"create virtual table [^\s]+ using rtree\b", statement)
        if b"virtual" in statement and index is None:  # a virtual table could read other files
            raise UserError(f"{file}: holds a virtual table; export the polygons to a new GeoPackage")
    return Staged(copy, "GPKG")


def _flatgeobuf(file: Path, folder: Path) -> Staged:
    _require_start(file, b"fgb\x03", "a FlatGeobuf file")
    return Staged(_copied(file, folder / "labels.fgb"), "FlatGeobuf")


def _parquet(file: Path, folder: Path) -> Staged:
    _require_start(file, b"PAR1", "a GeoParquet file")
    return Staged(_copied(file, folder / "labels.parquet"), "Parquet")


STAGES = {
    ".geojson": _geojson,
    ".json": _geojson,
    ".kml": _kml,
    ".kmz": _kml,
    ".shp": _shapefile,
    ".zip": _zipped,
    ".gpkg": _geopackage,
    ".fgb": _flatgeobuf,
    ".parquet": _parquet,
    ".geoparquet": _parquet,
}
"""Function that copies a file, by suffix."""


def _copied(file: Path, copy: Path) -> Path:
    _require_size(file, MOST_BINARY_BYTES)
    shutil.copyfile(file, copy)
    return copy


def _require_size(file: Path, most: int) -> None:
    if file.stat().st_size > most:
        raise UserError(f"{file}: is larger than {most / 2**20:g} MiB; keep fewer polygons or fewer fields")


def _require_start(file: Path, start: bytes, what: str, named: Path | None = None) -> None:
    with file.open("rb") as content:
        if content.read(len(start)) != start:
            raise UserError(f"{named or file}: is not {what}, as its name says; export the polygons again")
