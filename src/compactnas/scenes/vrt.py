"""Open VRT files, which only list other files: a new VRT is written in memory with nothing but checked local sources.

GDAL never sees the file itself, because a VRT can name URLs, programs, and files of any driver.
Format: https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from compactnas.errors import UserError
from compactnas.io.untrusted import read_text
from compactnas.scenes.files import SUFFIXES, faults_told, opened

MOST_BYTES, MOST_SOURCES = 4 * 2**20, 5000
"""Largest VRT in bytes, and in different source files."""
GEOREFERENCE = ("SRS", "GeoTransform")
OF_BAND = ("NoDataValue", "ColorInterp", "Description", "Scale", "Offset", "UnitType")
SOURCES = ("SimpleSource", "ComplexSource")
OF_SOURCE = ("SourceBand", "SrcRect", "DstRect", "NODATA", "ScaleOffset", "ScaleRatio")
IGNORED = ("Metadata", "OverviewList", "CategoryNames", "Histograms", "SourceProperties", "BlockXSize", "BlockYSize")
"""Elements that carry nothing that a scene needs, and are dropped."""
BAND_ATTRIBUTES = ("dataType", "band")
WRITE_AGAIN = "write it as a GeoTIFF (gdal_translate), or name its files in a new gdalbuildvrt"


class Mosaic:
    """An open VRT under the name of its file; everything else is rasterio's."""

    def __init__(self, raster: Any, file: Path) -> None:
        self._raster, self.name = raster, str(file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raster, name)


@contextmanager
def opened_vrt(file: Path) -> Iterator[Any]:
    """Open a VRT whose sources are GeoTIFF or JPEG 2000 files on this machine.

    Raises:
        UserError: The file is not such a VRT, or a source is missing or broken.
    """
    text = read_text(file, WRITE_AGAIN, MOST_BYTES)
    clean = _rewritten(_parsed(text, file), file)
    from rasterio.io import MemoryFile

    with (
        faults_told(file, "VRT"),
        MemoryFile(ET.tostring(clean), ext=".vrt") as memory,
        opened(Path(memory.name), "VRT", named=file) as raster,
    ):
        yield Mosaic(raster, file)


def sources_of(file: Path) -> list[Path]:
    """List the files that a VRT takes its pixels from.

    Raises:
        UserError: The file is not such a VRT, or a source is missing or broken.
    """
    clean = _rewritten(_parsed(read_text(file, WRITE_AGAIN, MOST_BYTES), file), file)
    return sorted({Path(source.text or "") for source in clean.iter("SourceFilename")})


def _parsed(text: str, file: Path) -> Element:
    """Parse XML without a document type, so that it has no entities to expand."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{file}: has a document type, which no VRT needs; {WRITE_AGAIN}")
    try:
        root = ET.fromstring(text)  # noqa: S314 (no document type, so no entities to expand)
    except (ET.ParseError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: is no VRT ({error}); {WRITE_AGAIN}") from None
    if root.tag != "VRTDataset" or root.get("subClass"):
        raise UserError(f"{file}: is no plain VRT of bands; {WRITE_AGAIN}")
    return root


def _rewritten(root: Element, file: Path) -> Element:
    """Copy the known elements of a VRT, and check its sources."""
    clean = Element("VRTDataset", _attributes(root, ("rasterXSize", "rasterYSize")))
    checked: dict[str, str] = {}
    for child in root:
        if child.tag in GEOREFERENCE:
            clean.append(_copied(child, ("dataAxisToSRSAxisMapping", "coordinateEpoch")))
        elif child.tag == "VRTRasterBand" and not child.get("subClass"):
            clean.append(_band(child, file, checked))
        elif child.tag not in IGNORED:
            raise _unknown(child, file)
    return clean


def _band(band: Element, file: Path, checked: dict[str, str]) -> Element:
    clean = Element("VRTRasterBand", _attributes(band, BAND_ATTRIBUTES))
    for child in band:
        if child.tag in OF_BAND:
            clean.append(_copied(child, ()))
        elif child.tag in SOURCES:
            clean.append(_source(child, file, checked))
        elif child.tag not in IGNORED:
            raise _unknown(child, file)
    return clean


def _source(source: Element, file: Path, checked: dict[str, str]) -> Element:
    clean = Element(source.tag, _attributes(source, ("resampling",)))
    for child in source:
        if child.tag == "SourceFilename":
            name = (child.text or "").strip()
            key = f"{child.get('relativeToVRT', '0')} {name}"
            if key not in checked:
                checked[key] = _checked(name, child.get("relativeToVRT") == "1", file)
            if len(checked) > MOST_SOURCES:
                raise UserError(f"{file}: names more than {MOST_SOURCES} files; cut it into smaller ones")
            own = Element("SourceFilename", {"relativeToVRT": "0"})
            own.text = checked[key]
            clean.append(own)
        elif child.tag in OF_SOURCE:
            clean.append(_copied(child, ("xOff", "yOff", "xSize", "ySize")))
        elif child.tag not in IGNORED:
            raise _unknown(child, file)
    return clean


def _checked(name: str, relative: bool, file: Path) -> str:
    """Absolute path of a source, once it was opened with its driver.

    Raises:
        UserError: It is not a GeoTIFF or JPEG 2000 file in the folder of the VRT, or at an absolute path.
    """
    local = not name.startswith(("/vsi", "<")) and "://" not in name and "\0" not in name
    driver = "GTiff" if Path(name).suffix.lower() in SUFFIXES else "JP2OpenJPEG"
    known = driver == "GTiff" or Path(name).suffix.lower() == ".jp2"
    if not (local and known):
        raise UserError(
            f"{file}: takes pixels from {name[:80]!r}; only GeoTIFF and JPEG 2000 files on this machine are read; "
            f"download it, and {WRITE_AGAIN}"
        )
    folder = file.resolve().parent
    path = Path(name)
    if not path.is_absolute():
        path = folder / name if relative else Path.cwd() / name
        if not path.resolve().is_relative_to(folder):
            raise UserError(f"{file}: takes pixels from {name[:80]!r}, outside its folder; move the file there")
    if not path.is_file():
        raise UserError(f"{file}: takes pixels from {path}, which does not exist; put it back, or write the VRT again")
    with opened(path, driver):
        return str(path.resolve())


def _attributes(element: Element, names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name in names if (value := element.get(name)) is not None}


def _copied(element: Element, attributes: tuple[str, ...]) -> Element:
    """Copy the text of an element, without its children."""
    clean = Element(element.tag, _attributes(element, attributes))
    clean.text = element.text
    return clean


def _unknown(element: Element, file: Path) -> UserError:
    kind = f" ({element.get('subClass')})" if element.get("subClass") else ""
    return UserError(f"{file}: has an element {element.tag[:40]}{kind[:60]}, which is not read; {WRITE_AGAIN}")
