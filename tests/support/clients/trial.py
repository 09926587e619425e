"""A small map with each class at a place of its own, as `compactnas map` writes maps: what the clients are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NAME, SIDE = "trial", 132


def trial_labels() -> np.ndarray:
    """LCZ 1 to 17 in blocks of 12 cells, of no symmetry, with lone cells for the filter and a border without class."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    labels = (1 + (rows // 12 + 3 * (columns // 12)) % 17).astype(np.uint8)
    labels[4::24, 5::24] = 1 + labels[4::24, 5::24] % 17
    labels[:2] = labels[:, :3] = labels[-1:] = 0
    return labels


def write_trial(folder: Path) -> None:
    """`trial_lcz.tif` and `trial_wudapt.tif`, by the writer of the maps."""
    write_maps(folder, NAME, trial_labels(), 32633, (420_000, 5_820_000))


def write_maps(folder: Path, name: str, labels: np.ndarray, epsg: int, corner: tuple[float, float]) -> None:
    """`NAME_lcz.tif` and `NAME_wudapt.tif`, with cells of 100 m, by the writer of the maps."""
    from rasterio import Affine
    from rasterio.crs import CRS

    from compactnas.lcz import NAMES
    from compactnas.mapping.legend import legend
    from compactnas.mapping.smoothing import smoothed
    from compactnas.mapping.writing import Writer
    from compactnas.scenes.scene import Place

    working = folder / "working"
    working.mkdir(parents=True)
    left, top = corner
    place = Place(CRS.from_epsg(epsg), Affine(100, 0, left, 0, -100, top), *labels.shape)
    writer = Writer(folder, working, place, legend(NAMES, lcz=True))
    writer.labels(f"{name}_lcz.tif", labels, "lcz")
    planes = {
        "lcz": labels,
        "lczFilter": smoothed(labels, 100.0),
        "classProbability": np.minimum(labels, 1) * np.uint8(80),
    }
    writer.three(f"{name}_wudapt.tif", planes)


def write_like(folder: Path, name: str, source: Path, epsg: int) -> None:
    """The classes of a map in degrees as a map of ours: in metres, cells of 100 m, in our files."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT
    from rasterio.warp import transform_bounds

    system = f"EPSG:{epsg}"
    with rasterio.open(source) as raster:
        west, south, east, north = (
            100 * round(edge / 100) for edge in transform_bounds(raster.crs, system, *raster.bounds)
        )
        size = {"width": (east - west) // 100, "height": (north - south) // 100}
        place = rasterio.Affine(100, 0, west, 0, -100, north)
        with WarpedVRT(raster, crs=system, transform=place, resampling=Resampling.nearest, nodata=0, **size) as warped:
            labels = warped.read(1).clip(0, 17).astype(np.uint8)
    write_maps(folder, name, labels, epsg, (west, north))
