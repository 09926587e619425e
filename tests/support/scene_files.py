"""Write scenes of other kinds than GeoTIFF, and classify windows one by one as a reference for maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from compactnas.runs.folder import load
from support.map_files import EPSG, LEFT, TOP, write_raster

LANDSAT = "LC08_L2SP_193023_20230601_20230607_02"
"""Name of a Landsat scene, without its tier."""
LANDSAT_BANDS = tuple(f"SR_B{number}" for number in range(1, 8))
S2_13 = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Order of ESA's products."""


def classes_of(model: Path, values: np.ndarray, hole: np.ndarray | None = None, step: int = 10) -> np.ndarray:
    """Classify the window around each cell on its own: LCZ, 0 if the window touches the hole."""
    network = load(model).eval()
    side, inset = 32, (32 - step) // 2
    rows, columns = (-(-size // step) for size in values.shape[1:])
    around = ((inset, 2 * side), (inset, 2 * side))
    padded = np.pad(values.astype(np.float32), ((0, 0), *around), mode="reflect")
    hidden = np.pad(np.zeros(values.shape[1:], bool) if hole is None else hole, around, mode="reflect")
    parts = [
        np.s_[step * row : step * row + side, step * column : step * column + side]
        for row, column in np.ndindex(rows, columns)
    ]
    with torch.no_grad():
        found = 1 + network(torch.from_numpy(np.stack([padded[:, *part] for part in parts]))).argmax(1).numpy()
    clear = np.array([not hidden[part].any() for part in parts])
    return (found * clear).reshape(rows, columns)


def write_landsat(folder: Path, pixels: np.ndarray, cloud: np.ndarray | None = None, pixel_m: float = 30.0) -> Path:
    """Write a Landsat 8 scene of Collection 2: a file for each band, and QA_PIXEL with bit 3 for clouds."""
    for name, band in zip(LANDSAT_BANDS, pixels, strict=True):
        write_raster(folder / f"{folder.name}_{name}.TIF", band[None], pixel_m)
    clear = np.full(pixels.shape[1:], 1 << 6, np.uint16)
    quality = clear if cloud is None else np.where(cloud, np.uint16(1 << 3), clear)
    write_raster(folder / f"{folder.name}_QA_PIXEL.TIF", quality[None], pixel_m)
    write_raster(folder / f"{folder.name}_ST_B10.TIF", pixels[:1], pixel_m)
    (folder / f"{folder.name}_MTL.txt").write_text("GROUP = LANDSAT_METADATA_FILE\n")
    return folder


def write_vrt(
    path: Path, sources: Mapping[str, tuple[str, int]], shape: tuple[int, ...], pixel_m: float = 10.0
) -> Path:
    """Write a VRT: name of each band -> its file, and whether that is relative to the VRT."""
    size = f'xSize="{shape[2]}" ySize="{shape[1]}"'
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{number}"><Description>{name}</Description><SimpleSource>'
        f'<SourceFilename relativeToVRT="{relative}">{file}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="0" yOff="0" {size}/></SimpleSource></VRTRasterBand>'
        for number, (name, (file, relative)) in enumerate(sources.items(), 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{shape[2]}" rasterYSize="{shape[1]}"><SRS>EPSG:{EPSG}</SRS>'
        f"<GeoTransform>{LEFT}, {pixel_m}, 0, {TOP}, 0, {-pixel_m}</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def write_cube(
    path: Path,
    pixels: np.ndarray,
    names: Sequence[str],
    *,
    fill: int | None = None,
    scale: float | None = None,
    axis: str = "band",
    pixel_m: float = 10.0,
) -> Path:
    """Write a netCDF file or a Zarr store with one variable over (band, y, x), whose rows run north."""
    import xarray
    from rasterio.crs import CRS

    x = LEFT + pixel_m * (np.arange(pixels.shape[2]) + 0.5)
    y = (TOP - pixel_m * (np.arange(pixels.shape[1]) + 0.5))[::-1]
    given = {"_FillValue": fill, "scale_factor": scale, "grid_mapping": "spatial_ref"}
    attributes = {name: value for name, value in given.items() if value is not None}
    labels = np.array(names, dtype=object)
    data = xarray.Dataset(
        {
            "numbers": ((axis, "y", "x"), pixels[:, ::-1], attributes),
            "spatial_ref": ((), 0, {"crs_wkt": CRS.from_epsg(EPSG).to_wkt()}),
        },
        {axis: np.arange(len(names)) if axis == "time" else labels, "y": y, "x": x},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zarr":
        data.drop_vars(axis).assign({"numbers": data["numbers"].assign_attrs(long_name=list(names))}).drop_vars(
            axis
        ).to_zarr(path, consolidated=False)
    else:
        data.to_netcdf(path, engine="h5netcdf")
    return path
