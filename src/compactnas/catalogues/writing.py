"""Write a scene as a cloud-optimised GeoTIFF with the scale of its numbers and the names of its bands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compactnas.catalogues.composite import NO_DATA
from compactnas.catalogues.grid import Grid
from compactnas.catalogues.store import SceneStore
from compactnas.scenes.numbers import DIGITAL_NUMBERS
from compactnas.scenes.scene import Window
from compactnas.scenes.writing import cloud_optimised

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
    from rasterio.windows import Window as Part

    whole = store.folder / "scene.tif"
    profile = {
        "dtype": "uint16",
        "count": len(bands),
        "height": grid.height,
        "width": grid.width,
        "crs": f"EPSG:{grid.epsg}",
        "transform": grid.transform,
        "nodata": NO_DATA,
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    options = {"bigtiff": "if_safer", "overview_resampling": "average"}
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), cloud_optimised(whole, profile, options) as raster:
        for number, window in enumerate(blocks):
            raster.write(store.get(number, window), window=Part(window.column, window.row, window.width, window.height))
        raster.descriptions = tuple(bands)
        raster.scales = (1 / DIGITAL_NUMBERS,) * len(bands)
        raster.update_tags(SOURCE=tag)
    return whole
