"""Write maps as cloud-optimised GeoTIFFs with class names and colours, for GIS programs and urban climate tools.

Each file is written to a working folder first, and moved to its final place once it is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from jaxtyping import UInt8

from compactnas.errors import shown
from compactnas.io.atomic import write_bytes
from compactnas.io.sole_writer import require_own
from compactnas.mapping.block_store import NO_CELL, STEPS, Numbers
from compactnas.mapping.grid import CellRectangle
from compactnas.mapping.legend import LegendEntry
from compactnas.scenes.scene import Place
from compactnas.scenes.writing import cloud_optimised

LON_LAT = "EPSG:4326"

Labels = UInt8[np.ndarray, "rows columns"]


class Writer:
    """Writes the files of one map.

    Args:
        out: Folder of the finished files.
        working: Working folder on the same disk.
        place: Georeference of the map.
        legend: Classes of the map.
    """

    def __init__(self, out: Path, working: Path, place: Place, legend: Sequence[LegendEntry]) -> None:
        self._out, self._working, self._place, self._legend = out, working, place, legend

    def labels(self, name: str, labels: Labels, description: str) -> Path:
        """Write a map of classes as bytes, 0 for no class, with the colours and names that GIS programs show."""
        with self._cog(name, "mode", dtype="uint8", count=1, nodata=0) as raster:
            raster.write(labels, 1)
            raster.set_band_description(1, description)
            raster.write_colormap(1, {entry.number: (*entry.rgb, 255) for entry in self._legend})
            raster.update_tags(1, **{f"CLASS_{entry.number}": shown(entry.text) for entry in self._legend})
        return self._named(self._out / name)

    def lon_lat(self, name: str, source: Path) -> Path:
        """Write a copy of a map of classes in degrees, resampled by nearest neighbour."""
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
        """Write planes of bytes, 0 for no data, under their descriptions: the layout of the LCZ Generator and W2W."""
        with self._cog(name, "mode", dtype="uint8", count=len(planes), nodata=0, photometric="minisblack") as raster:
            for number, (description, plane) in enumerate(planes.items(), 1):
                raster.write(plane, number)
                raster.set_band_description(number, description)
        return self._out / name

    def probabilities(self, name: str, blocks: Iterable[tuple[CellRectangle, Numbers]]) -> Path:
        """Write a band of probabilities for each class, block by block, in ten thousandths with the scale declared."""
        from rasterio.windows import Window

        count = len(self._legend)
        with self._cog(name, "average", dtype="uint16", count=count, nodata=NO_CELL, interleave="pixel") as raster:
            for cells, numbers in blocks:
                window = Window(cells.column, cells.row, cells.columns, cells.rows)
                raster.write(np.moveaxis(numbers, 2, 0), window=window)
            raster.scales = (1 / STEPS,) * count
            raster.descriptions = tuple(shown(entry.text) for entry in self._legend)
        return self._out / name

    def style(self, name: str) -> Path:
        """Write a QGIS style, which QGIS loads by itself if it has the name of the map."""
        entries = "".join(
            f'<paletteEntry value="{entry.number}" color="{entry.colour.lower()}" alpha="255" '
            f"label={quoteattr(shown(entry.text))}/>"
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
        """Write the class names of a GeoTIFF to its `.aux.xml` file, where GDAL looks for them."""
        names = ["", *(escape(shown(entry.text)) for entry in self._legend)]
        categories = "".join(f"    <Category>{name}</Category>\n" for name in names)
        text = (
            '<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n'
            f"{categories}    </CategoryNames>\n  </PAMRasterBand>\n</PAMDataset>\n"
        )
        write_bytes(path.with_name(f"{path.name}.aux.xml"), text.encode())
        return path

    @contextmanager
    def _cog(self, name: str, overviews: str, **profile: Any) -> Iterator[Any]:
        """Open a GeoTIFF to fill; convert it to a cloud-optimised GeoTIFF of this name at the end."""
        whole, compressed = self._working / name, {"compress": "deflate"}
        with cloud_optimised(
            whole, compressed | _profile(self._place) | profile, {"overview_resampling": overviews}
        ) as raster:
            yield raster
        require_own(self._out / name)
        whole.replace(self._out / name)


def _profile(place: Any) -> dict[str, Any]:
    return {key: getattr(place, key) for key in ("crs", "transform", "height", "width")}


def judged(numbers: Numbers) -> tuple[Labels, Labels]:
    """Most probable class of each cell, from 1, and its probability in percent, at least 1; both 0 without a class."""
    none = numbers[..., 0] == NO_CELL
    percent = np.rint(numbers.max(axis=-1) * (100 / STEPS)).clip(1, 100)
    labels, sure = (np.where(none, 0, plane).astype(np.uint8) for plane in (1 + numbers.argmax(axis=-1), percent))
    return labels, sure
