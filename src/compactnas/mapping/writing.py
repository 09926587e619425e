"""Maps as GeoTIFFs that GIS programs and urban climate tools read: cloud-optimised, with colours and names of classes.

Each is written in a working folder first, and moved to its place when it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from jaxtyping import UInt8

from compactnas.io.atomic import write_bytes
from compactnas.mapping.block_store import NO_CELL, STEPS, Numbers
from compactnas.mapping.grid import CellRectangle
from compactnas.mapping.legend import LegendEntry
from compactnas.mapping.scene import Place

TILE = 256
"""Side of a file's tiles in pixels."""
LON_LAT = "EPSG:4326"

Labels = UInt8[np.ndarray, "rows columns"]


class Writer:
    """Writes the files of one map.

    Args:
        out: folder that they get to.
        working: folder on the same disk in which they are made.
        place: Georeference of the map.
        legend: its classes.
    """

    def __init__(self, out: Path, working: Path, place: Place, legend: Sequence[LegendEntry]) -> None:
        self._out, self._working, self._place, self._legend = out, working, place, legend

    def labels(self, name: str, labels: Labels, description: str) -> Path:
        """A map of classes: bytes, 0 for none, with colours, and with names that GIS programs show."""
        with self._cog(name, "mode", dtype="uint8", count=1, nodata=0) as raster:
            raster.write(labels, 1)
            raster.set_band_description(1, description)
            raster.write_colormap(1, {entry.number: (*entry.rgb, 255) for entry in self._legend})
            raster.update_tags(1, **{f"CLASS_{entry.number}": entry.text for entry in self._legend})
        return self._named(self._out / name)

    def lon_lat(self, name: str, source: Path) -> Path:
        """A copy of a map of classes in degrees; a cell has the class of the cell that its middle lies in."""
        import rasterio
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        with (
            rasterio.open(source) as raster,
            WarpedVRT(raster, crs=LON_LAT, resampling=Resampling.nearest) as warped,
            self._cog(name, "mode", **_profile(warped), dtype="uint8", count=1, nodata=0) as copy,
        ):
            copy.write(warped.read(1), 1)
            copy.set_band_description(1, raster.descriptions[0])
            copy.write_colormap(1, raster.colormap(1))
            copy.update_tags(1, **raster.tags(1))
        return self._named(self._out / name)

    def three(self, name: str, planes: dict[str, Labels]) -> Path:
        """Planes of bytes by their descriptions, as the LCZ Generator writes and W2W reads them; 0 for none."""
        with self._cog(name, "mode", dtype="uint8", count=len(planes), nodata=0, photometric="minisblack") as raster:
            for number, (description, plane) in enumerate(planes.items(), 1):
                raster.write(plane, number)
                raster.set_band_description(number, description)
        return self._out / name

    def probabilities(self, name: str, blocks: Iterable[tuple[CellRectangle, Numbers]]) -> Path:
        """A band for each class, in ten thousandths, with the scale declared; block by block."""
        from rasterio.windows import Window

        count = len(self._legend)
        with self._cog(name, "average", dtype="uint16", count=count, nodata=NO_CELL, interleave="pixel") as raster:
            for cells, numbers in blocks:
                window = Window(cells.column, cells.row, cells.columns, cells.rows)
                raster.write(np.moveaxis(numbers, 2, 0), window=window)
            raster.scales = (1 / STEPS,) * count
            raster.descriptions = tuple(entry.text for entry in self._legend)
        return self._out / name

    def style(self, name: str) -> Path:
        """A style of QGIS, which takes it by itself where it has the name of the map."""
        entries = "".join(
            f'<paletteEntry value="{entry.number}" color="{entry.colour.lower()}" alpha="255" '
            f"label={quoteattr(entry.text)}/>"
            for entry in self._legend
        )
        text = (
            "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
            '<qgis version="3.22" styleCategories="Symbology"><pipe>'
            '<rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">'
            f"<rasterTransparency/><colorPalette>{entries}</colorPalette></rasterrenderer>"
            '<rasterresampler maxOversampling="1"/></pipe><blendMode>0</blendMode></qgis>\n'
        )
        write_bytes(self._out / name, text.encode())
        return self._out / name

    def _named(self, path: Path) -> Path:
        """Write the names of the classes to the file beside a GeoTIFF in which GDAL looks for them."""
        names = ["", *(escape(entry.text) for entry in self._legend)]
        categories = "".join(f"    <Category>{name}</Category>\n" for name in names)
        text = (
            '<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n'
            f"{categories}    </CategoryNames>\n  </PAMRasterBand>\n</PAMDataset>\n"
        )
        write_bytes(path.with_name(f"{path.name}.aux.xml"), text.encode())
        return path

    @contextmanager
    def _cog(self, name: str, overviews: str, **profile: Any) -> Iterator[Any]:
        """A GeoTIFF to fill, which becomes a cloud-optimised one of this name."""
        import rasterio
        from rasterio.shutil import copy

        plain, whole = self._working / f"plain_{name}", self._working / name
        tiles = {"driver": "GTiff", "tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate"}
        with rasterio.open(plain, "w", **tiles | _profile(self._place) | profile) as raster:
            yield raster
        options = {"compress": "deflate", "predictor": "yes", "blocksize": TILE, "overview_resampling": overviews}
        copy(plain, whole, driver="COG", **options)
        plain.unlink()
        _require_whole(whole)
        whole.replace(self._out / name)


def _profile(place: Any) -> dict[str, Any]:
    return {key: getattr(place, key) for key in ("crs", "transform", "height", "width")}


def _require_whole(file: Path) -> None:
    """GDAL may say nothing of a disk that was full when it closed a file: read each block once."""
    import rasterio

    with rasterio.open(file) as raster:
        for _, window in raster.block_windows(1):
            raster.read(window=window)


def judged(numbers: Numbers) -> tuple[Labels, Labels]:
    """Most probable class of each cell, from 1, and its probability in percent, at least 1; 0 without a class."""
    none = numbers[..., 0] == NO_CELL
    percent = np.rint(numbers.max(axis=-1) * (100 / STEPS)).clip(1, 100)
    labels, sure = (np.where(none, 0, plane).astype(np.uint8) for plane in (1 + numbers.argmax(axis=-1), percent))
    return labels, sure
