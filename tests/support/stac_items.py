"""Items of catalogues as they really are, with small files of a made city.

The fields are those of Earth Search (versions 0 and 1), the Planetary Computer, Landsat Collection 2 and HLS; ids,
files and numbers are made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
COARSE = ("B05", "B06", "B07", "B8A", "B11", "B12")
EPSG, LEFT, TOP = 32633, 399_960.0, 5_820_040.0
"""Corner of a tile of Sentinel-2 in Berlin."""
V1 = dict(
    zip(BANDS, "blue green red rededge1 rededge2 rededge3 nir nir08 swir16 swir22".split(), strict=True), SCL="scl"
)
CLOUD = 9


class Kind(NamedTuple):
    """How a catalogue describes an item.

    Attributes:
        collection: Collection of the item.
        added: Number that the files hold more than reflectance x 10,000.
        properties: Properties of the item.
        names: Name of the asset of each band; the same by default.
        raster: Entry of `raster:bands`; None if there is none.
    """

    collection: str
    added: int
    properties: dict[str, Any]
    names: dict[str, str] = {}  # noqa: RUF012  never changed
    raster: dict[str, Any] | None = None


OFFSET = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}
KINDS = {
    "earth search 0": Kind(
        "sentinel-s2-l2a-cogs",
        0,
        {"sentinel:product_id": "S2A_MSIL2A_20200714T115221_N0214_R123_T33UUU_20200714T191310"},
    ),
    "earth search 1": Kind(
        "sentinel-2-l2a",
        1000,
        {"s2:processing_baseline": "05.10", "earthsearch:boa_offset_applied": False, "grid:code": "MGRS-33UUU"},
        V1,
        OFFSET,
    ),
    "earth search 1, offset taken": Kind(
        "sentinel-2-l2a",
        0,
        {"s2:processing_baseline": "05.10", "earthsearch:boa_offset_applied": True, "grid:code": "MGRS-33UUU"},
        V1,
        OFFSET,
    ),
    "planetary computer before 04.00": Kind(
        "sentinel-2-l2a", 0, {"s2:processing_baseline": "02.12", "s2:mgrs_tile": "33UUU"}
    ),
    "planetary computer from 04.00": Kind(
        "sentinel-2-l2a", 1000, {"s2:processing_baseline": "04.00", "s2:mgrs_tile": "33UUU"}
    ),
}


class City(NamedTuple):
    """A made city on one day: reflectance x 10,000 (bands, rows, columns), and the scene classification at 20 m."""

    reflectance: np.ndarray
    classes: np.ndarray

    @property
    def clear(self) -> np.ndarray:
        """Pixels that the default classes leave clear."""
        return ~np.isin(self.classes, (0, 1, 3, 8, 9, 10, 11)).repeat(2, 0).repeat(2, 1)


def city(day: int, side: int = 96, clouds: tuple[tuple[int, int, int], ...] = ()) -> City:
    """Make a city that looks a little different each day, with square clouds: row, column and side at 20 m."""
    rows, columns = np.mgrid[:side, :side] / 9.0
    random = np.random.default_rng(day)
    waves = np.stack([np.sin(rows + band) * np.cos(columns - band / 3) for band in range(len(BANDS))])
    found = (2200 + 900 * waves + random.integers(-300, 300, waves.shape)).astype(np.int64)
    for band in (BANDS.index(name) for name in COARSE):
        found[band] = found[band, ::2, ::2].repeat(2, 0).repeat(2, 1)
    classes = np.full((side // 2, side // 2), 4, np.uint8)
    for row, column, size in clouds:
        classes[row : row + size, column : column + size] = CLOUD
        found[:, 2 * row : 2 * (row + size), 2 * column : 2 * (column + size)] = 9000
    return City(found, classes)


def write_item(
    folder: Path, kind: Kind, one: City, day: str, url: str, name: str = "", block: int = 16, **properties: Any
) -> dict[str, Any]:
    """Write the files of a city as this catalogue has them, and return its item.

    Args:
        folder: Folder of the files.
        kind: How the catalogue describes its items.
        one: City.
        day: Day of the item.
        url: Address of the server.
        name: Id of the item; by default it follows from the day.
        block: Side of the files' tiles.
        properties: Further properties of the item.
    """
    name = name or f"S2B_33UUU_{day.replace('-', '')}_0_L2A"
    assets = {}
    for band, numbers in zip(BANDS, one.reflectance, strict=True):
        step = 2 if band in COARSE else 1
        stored = (numbers[::step, ::step] + kind.added).astype(np.uint16)
        assets[kind.names.get(band, band)] = _asset(folder, f"{name}_{band}.tif", stored, 10.0 * step, url, block) | {
            "gsd": 10 * step,
            "eo:bands": [{"name": band, "center_wavelength": 0.5}],
            **({"raster:bands": [kind.raster | {"spatial_resolution": 10 * step}]} if kind.raster else {}),
        }
    assets[kind.names.get("SCL", "SCL")] = _asset(folder, f"{name}_SCL.tif", one.classes, 20.0, url, block)
    assets["visual"] = {"href": f"{url}/files/none.tif", "type": "image/tiff", "roles": ["visual"]}
    return item_of(name, kind.collection, day, assets, EPSG, kind.properties | properties, len(one.classes) * 20.0)


def item_of(
    name: str, collection: str, day: str, assets: dict[str, Any], epsg: int, properties: dict[str, Any], side_m: float
) -> dict[str, Any]:
    """Put together an item whose files begin at `LEFT` and `TOP`."""
    left, bottom, right, top = bounds_of(0, 0, side_m, side_m)
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    base = {"datetime": f"{day}T10:16:09Z", "platform": "sentinel-2b", "proj:epsg": epsg, "eo:cloud_cover": 20.0}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [left, bottom, right, top],
        "properties": base | properties,
        "assets": assets,
        "links": [],
    }


def bounds_of(left_m: float, top_m: float, right_m: float, bottom_m: float) -> tuple[float, float, float, float]:
    """Bounds in degrees of a box in metres east and south of the tile's corner."""
    from rasterio.warp import transform_bounds

    box = (LEFT + left_m, TOP - bottom_m, LEFT + right_m, TOP - top_m)
    found: tuple[float, float, float, float] = transform_bounds(f"EPSG:{EPSG}", "EPSG:4326", *box)
    return found


def _asset(folder: Path, name: str, numbers: np.ndarray, pixel_m: float, url: str, block: int) -> dict[str, Any]:
    write_cog(folder / name, numbers, pixel_m, blockxsize=block, blockysize=block)
    return {
        "href": f"{url}/files/{name}",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "proj:shape": list(numbers.shape),
        "proj:transform": [pixel_m, 0, LEFT, 0, -pixel_m, TOP],
    }


def write_cog(file: Path, numbers: np.ndarray, pixel_m: float, **changes: Any) -> None:
    """Write one band as a tiled GeoTIFF that begins at `LEFT` and `TOP`."""
    import rasterio

    file.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "count": 1,
        "height": numbers.shape[0],
        "width": numbers.shape[1],
        "dtype": numbers.dtype,
        "crs": f"EPSG:{EPSG}",
        "transform": rasterio.Affine(pixel_m, 0, LEFT, 0, -pixel_m, TOP),
        "tiled": True,
        "blockxsize": 16,
        "blockysize": 16,
        "compress": "deflate",
    }
    with rasterio.open(file, "w", **profile | changes) as raster:
        raster.write(numbers, 1)
