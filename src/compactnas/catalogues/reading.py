"""Load the observations of a block with odc-stac, band by band, as reflectance x 10,000."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import UInt16
from numpy.typing import NDArray

from compactnas.catalogues.composite import NO_DATA
from compactnas.catalogues.files import RemoteFiles
from compactnas.catalogues.grid import Grid
from compactnas.catalogues.items import CLOUDS, Asset, Observation
from compactnas.catalogues.sensors import Sensor
from compactnas.errors import UserError
from compactnas.scenes.numbers import DIGITAL_NUMBERS
from compactnas.scenes.scene import Window

HIDDEN, CLEAR = 1, 2
"""Values of a loaded cloud mask; `NO_DATA` outside the item."""
MARGIN = 0.01
"""Degrees by which footprints are enlarged: their edges are straight in degrees, those of files in UTM."""
LARGEST = np.iinfo(np.uint16).max

Stack = UInt16[np.ndarray, "days rows columns"]


class Loader:
    """Loads blocks of the observations of a scene.

    Args:
        observations: Observations in order; on one day, the first that has data counts.
        grid: Grid of the scene.
        sensor: Sensor of the observations.
        classes: Masked classes, if the cloud mask holds classes.
        files: Files of the catalogue.
        threads: Number of files that are read at the same time.
    """

    def __init__(
        self,
        observations: Sequence[Observation],
        grid: Grid,
        sensor: Sensor,
        classes: tuple[int, ...],
        files: RemoteFiles,
        threads: int,
    ) -> None:
        self._observations, self._grid, self._sensor = list(observations), grid, sensor
        self._classes, self._files, self._threads = classes, files, threads
        self._items = [_item(one, number) for number, one in enumerate(observations)]
        self._known = {
            _numbered(asset.href, number): (one.id, band, asset)
            for number, one in enumerate(observations)
            for band, asset in one.assets.items()
        }
        self._lock = Lock()
        self.seen: Counter[str] = Counter()
        self.negative: Counter[str] = Counter()

    @property
    def days(self) -> list[str]:
        """Days of the observations, in order."""
        return sorted({one.day for one in self._observations})

    def load(self, band: str, window: Window, days: Sequence[str]) -> Stack:
        """Load a band, or the cloud mask (`CLOUDS`), of some days.

        Returns:
            Reflectance x 10,000, at least 1, or the state of the mask; `NO_DATA` where the day has none.

        Raises:
            UserError: A file cannot be read.
        """
        from odc.geo.geobox import GeoBox
        from odc.stac import load

        grid = self._grid
        place = grid.transform_of(window)
        chosen = set(days)
        found = load(
            [item for one, item in zip(self._observations, self._items, strict=True) if one.day in chosen],
            [band],
            geobox=GeoBox((window.height, window.width), place, f"EPSG:{grid.epsg}"),
            groupby="day",
            preserve_original_order=True,
            dtype="uint16",
            nodata=NO_DATA,
            driver=_driver(self, window),
            pool=self._threads,
        )
        stack: Stack = found[band].values
        return stack

    def read(self, href: str, window: Window) -> NDArray[np.uint16]:
        """Read one file onto a window, as `load` returns it."""
        name, band, asset = self._known[href]
        numbers = self._files.read(href, asset.nodata, window, f"item {name}, {band}")
        if band == CLOUDS:
            if numbers.dtype.kind not in "ui":
                raise UserError(
                    f"item {name}: its cloud mask holds numbers of type {numbers.dtype}; leave it out (--without)"
                )
            hidden = self._sensor.hidden(numbers, self._classes)
            return np.where(numbers == asset.nodata, NO_DATA, np.where(hidden, HIDDEN, CLEAR)).astype(np.uint16)
        return self._reflectance(numbers, asset, name)

    def _reflectance(self, numbers: NDArray[Any], asset: Asset, name: str) -> NDArray[np.uint16]:
        """Convert numbers to reflectance x 10,000; 0 and less become 1, because 0 stands for no data."""
        scale, offset = asset.scale * DIGITAL_NUMBERS, asset.offset * DIGITAL_NUMBERS
        valid = np.isfinite(numbers) & (numbers != asset.nodata)
        with np.errstate(all="ignore"):
            values = np.rint(numbers * np.float64(scale) + offset)
        with self._lock:
            self.seen[name] += int(valid.sum())
            self.negative[name] += int((valid & (values < 0)).sum())
        return np.where(valid, values.clip(1, LARGEST), NO_DATA).astype(np.uint16)


def _numbered(href: str, number: int) -> str:
    """Make an address that differs between items that share a file."""
    return f"{href}#{number}"


def _item(one: Observation, number: int) -> Any:
    """Make a STAC item with nothing but what odc-stac needs: footprint, day, and files by band."""
    import pystac

    left, bottom, right, top = one.bounds
    west, south = max(-180.0, left - MARGIN), max(-90.0, bottom - MARGIN)
    east, north = min(180.0, right + MARGIN), min(90.0, top + MARGIN)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    item = pystac.Item(
        id=one.id,
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=[west, south, east, north],
        datetime=datetime.fromisoformat(one.moment),
        properties={"day": one.day},
    )
    for band, asset in one.assets.items():
        item.add_asset(band, pystac.Asset(_numbered(asset.href, number), media_type="image/tiff", roles=["data"]))
    return item


def _driver(loader: Loader, window: Window) -> Any:
    """Make a driver of odc-stac that reads a window through a loader, whose checks its own driver lacks."""
    from odc.loader import RioDriver

    class Reader:
        def __init__(self, href: str) -> None:
            self._href = href

        def read(self, cfg: Any, dst_geobox: Any, **_: Any) -> tuple[Any, NDArray[np.uint16]]:
            return np.s_[0 : window.height, 0 : window.width], loader.read(self._href, window)

    class Driver(RioDriver):
        def open(self, src: Any, ctx: Any) -> Any:
            return Reader(src.uri)

    return Driver()
