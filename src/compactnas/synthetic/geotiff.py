"""Write scenes as GeoTIFF, with their true LCZ map; needs the `map` extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compactnas.lcz import CLASSES
from compactnas.scenes.files import require_rasterio
from compactnas.scenes.writing import geotiff
from compactnas.synthetic.materials import BANDS
from compactnas.synthetic.scene import CityScene


def write_scene(scene: CityScene, folder: Path) -> None:
    """Write NAME.tif with digital numbers as in Sentinel-2 (reflectance x 10000, uint16), and NAME_lcz.tif.

    The map is one band of uint8 with LCZ numbers 1 to 17, 0 as no data, WUDAPT's colours, and the names of the classes.

    Raises:
        UserError: rasterio is not installed.
    """
    require_rasterio("scenes")
    from rasterio.transform import Affine

    folder.mkdir(parents=True, exist_ok=True)
    place = {
        "crs": f"EPSG:{scene.epsg}",
        "transform": Affine(*scene.transform),
        "height": scene.lcz.shape[0],
        "width": scene.lcz.shape[1],
        "compress": "deflate",
    }
    numbers = np.rint(scene.reflectance * 10000).astype(np.uint16)
    with geotiff(folder / f"{scene.name}.tif", place | {"count": len(BANDS), "dtype": "uint16"}) as image:
        image.write(numbers)
        image.descriptions = BANDS
        image.scales = (0.0001,) * len(BANDS)
        image.update_tags(MADE="compactnas, a procedural world: no real place")
    with geotiff(folder / f"{scene.name}_lcz.tif", place | {"count": 1, "dtype": "uint8", "nodata": 0}) as truth:
        truth.write(scene.lcz, 1)
        truth.set_band_description(1, "lcz")
        truth.write_colormap(1, {lcz.number: _rgba(lcz.colour) for lcz in CLASSES})
        truth.update_tags(1, **{f"LCZ_{lcz.label}": lcz.name for lcz in CLASSES})


def _rgba(colour: str) -> tuple[int, int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16), 255
