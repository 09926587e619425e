"""Read KML and KMZ, and write it again as one plain layer: no links, no styles, no folders.

GDAL makes a layer of each folder. The template of WUDAPT has one folder for each Local Climate Zone, so each placemark
gets the name of its folder as a field.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from compactnas.errors import UserError
from compactnas.io.untrusted import MOST_BYTES
from compactnas.labels.classes import lcz_of_folder

FOLDER_FIELD = "compactnas_folder"
"""Field with the name of the folder; a folder inside that of a zone has the name of the zone."""
GEOMETRY = frozenset(
    "MultiGeometry Polygon outerBoundaryIs innerBoundaryIs LinearRing LineString Point coordinates".split()
)
TEXTS = frozenset(("name", "coordinates", "value", "SimpleData"))
MOST_DEPTH = 64
"""Maximum number of elements inside each other."""


class _Copy:
    """Copy of the placemarks of a KML file, written element by element.

    Attributes:
        parts: Pieces of text.
        links: Number of links to other files, which are not followed.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.links = 0
        self._path: list[str] = []
        self._folders: list[str] = []
        self._name = ""
        self._fields: dict[str, str] = {}
        self._field = ""
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if not self._path and name not in ("kml", "Document", "Folder", "Placemark"):
            raise ValueError(f"its root element is {name[:40]}")
        if len(self._path) >= MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        self._path.append(name)
        self._text = []
        if name == "Folder":
            self._folders.append("")
        elif name == "Placemark":
            self._name, self._fields = "", {}
            known = f" id={quoteattr(attributes['id'])}" if attributes.get("id") else ""
            self.parts.append(f"<Placemark{known}>")
        elif name in ("Data", "SimpleData"):
            self._field = attributes.get("name", "")
        elif name == "NetworkLink":
            self.links += 1
        elif name in GEOMETRY and "Placemark" in self._path:
            self.parts.append(f"<{name}>")

    def text(self, text: str) -> None:
        if self._path[-1] in TEXTS:
            self._text.append(text)

    def end(self, tag: str) -> None:
        name, text = self._path.pop(), "".join(self._text).strip()
        parent = self._path[-1] if self._path else ""
        if name == "Folder":
            self._folders.pop()
        elif name == "name" and parent == "Folder":
            self._folders[-1] = text
        elif name == "name" and parent == "Placemark":
            self._name = text
        elif (name == "SimpleData" or (name == "value" and parent == "Data")) and self._field:
            self._fields.setdefault(self._field, text)
        elif name == "Placemark":
            self.parts += [*self._written_fields(), "</Placemark>\n"]
        elif name in GEOMETRY and "Placemark" in self._path:
            self.parts.append(f"{escape(text)}</{name}>" if name == "coordinates" else f"</{name}>")
        self._text = []

    def _written_fields(self) -> list[str]:
        folder = next((name for name in reversed(self._folders) if lcz_of_folder(name) is not None), "")
        self._fields[FOLDER_FIELD] = folder or (self._folders[-1] if self._folders else "")
        rows = (
            f"<Data name={quoteattr(name)}><value>{escape(value)}</value></Data>"
            for name, value in self._fields.items()
        )
        return [f"<name>{escape(self._name)}</name><ExtendedData>", *rows, "</ExtendedData>"]


def plain_kml(content: bytes, file: Path) -> tuple[str, int]:
    """Copy the placemarks of a KML file into one folder.

    Returns:
        The text of the copy, and the number of links to other files, which it does not contain.

    Raises:
        UserError: The content is not KML, or defines entities.
    """
    copy, parser = _Copy(), expat.ParserCreate(namespace_separator=" ")

    def refuse(*_: Any) -> None:
        raise ValueError("it defines its own entities")

    parser.StartElementHandler, parser.EndElementHandler = copy.start, copy.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = copy.text, refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError, UnicodeError) as error:
        raise UserError(f"{file}: is not KML ({error}); save the polygons again as KML or GeoPackage") from error
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder>\n'
    return f"{head}{''.join(copy.parts)}</Folder></Document></kml>\n", copy.links


def kml_in_kmz(file: Path) -> bytes:
    """Unpack the main document of a KMZ file: `doc.kml`, or the first KML in it.

    Raises:
        UserError: The file is not a KMZ, or is larger than a KML may be.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = [one for one in archive.infolist() if one.filename.lower().endswith(".kml")]
            names.sort(key=lambda one: one.filename.lower() != "doc.kml")
            if not names:
                raise UserError(f"{file}: holds no KML; save the polygons again as KML")
            with archive.open(names[0]) as inner:
                content = inner.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file}: is not a KMZ file ({error}); save the polygons again as KML") from error
    if len(content) > MOST_BYTES:
        raise UserError(f"{file}: unpacks to more than {MOST_BYTES / 2**20:g} MiB; save fewer polygons")
    return content
