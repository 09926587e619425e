"""Write a scene as a cloud-optimised GeoTIFF with the scale of its numbers and the names of its bands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compactnas.catalogues.composite import NO_DATA
from compactnas.catalogues.grid import Grid
from compactnas.catalogues.store import SceneStore
from compactnas.scenes.numbers import DIGITAL_NUMBERS
from compactnas.scenes.scene import Window

TILE = 256
CACHE_BYTES = 128 * 2**20


def write_scene(store: SceneStore, grid: Grid, blocks: Sequence[Window], bands: Sequence[str], tag: str) -> Path:
    """Write the finished blocks as one file in the folder of the store.

    Args:
        store: Finished blocks.
        grid: Grid of the scene.
        blocks: Window of each block.
        bands: Names of the bands.
        tag: Origin of the pixels.

    Returns:
        The file, read once as a check.
    """
    import rasterio
    from rasterio.shutil import copy
    from rasterio.windows import Window as Part

    plain, whole = store.folder / "plain.tif", store.folder / "scene.tif"
    profile = {
        "driver": "GTiff",
        "dtype": "uint16",
        "count": len(bands),
        "height": grid.height,
        "width": grid.width,
        "crs": f"EPSG:{grid.epsg}",
        "transform": grid.transform,
        "nodata": NO_DATA,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        with rasterio.open(plain, "w", **profile) as raster:
            for number, window in enumerate(blocks):
                raster.write(
                    store.get(number, window), window=Part(window.column, window.row, window.width, window.height)
                )
            raster.descriptions = tuple(bands)
            raster.scales = (1 / DIGITAL_NUMBERS,) * len(bands)
            raster.update_tags(SOURCE=tag)
        options = {"compress": "deflate", "predictor": "yes", "blocksize": TILE, "overview_resampling": "average"}
        copy(plain, whole, driver="COG", bigtiff="if_safer", **options)
        plain.unlink()
        with rasterio.open(whole) as raster:  # GDAL may not report that the disk was full when it closed the file
            for _, part in raster.block_windows(1):
                raster.read(window=part)
    return whole
