"""Write scenes, networks and products for the tests of maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compactnas.config.reading import Reading
from compactnas.lcz import NAMES
from compactnas.mapping.config import MapConfig, Outputs
from compactnas.mapping.job import MapJob
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs.folder import save_model
from compactnas.runs.task import Task

EPSG, LEFT, TOP = 32633, 384_040.0, 5_820_320.0
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
MTD = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-15.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd">
<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
<Radiometric_Offset_List>{offsets}</Radiometric_Offset_List></n1:Level-1C_User_Product>
"""


def numbers(height: int = 96, width: int = 128, bands: int = len(BANDS), seed: int = 0) -> np.ndarray:
    """Make Sentinel-2 digital numbers, uint16: smooth fields that differ by band and place."""
    rows, columns = np.mgrid[:height, :width] / 20.0
    noise = np.random.default_rng(seed).uniform(0, 300, (bands, height, width))
    waves = [np.sin(rows + band) + np.cos(columns * (1 + band / 9)) for band in range(bands)]
    return (2500 + 900 * np.stack(waves) + noise).astype(np.uint16)


def write_raster(path: Path, pixels: np.ndarray, pixel_m: float = 10.0, **changes: Any) -> Path:
    """Write a raster (band, row, column) whose upper left corner is at LEFT, TOP."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    names = changes.pop("descriptions", None)
    scale, offset = changes.pop("scale", None), changes.pop("offset", None)
    profile = {
        "driver": "GTiff",
        "count": len(pixels),
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": pixels.dtype,
        "crs": f"EPSG:{EPSG}",
        "transform": rasterio.Affine(pixel_m, 0, LEFT, 0, -pixel_m, TOP),
    }
    with rasterio.open(path, "w", **profile | changes) as file:
        file.write(pixels)
        if names:
            file.descriptions = names
        if scale:
            file.scales = (scale,) * len(pixels)
        if offset:
            file.offsets = (offset,) * len(pixels)
    return path


def write_scene(path: Path, pixels: np.ndarray, names: Sequence[str] = BANDS, **changes: Any) -> Path:
    """Write a GeoTIFF with band descriptions."""
    return write_raster(path, pixels, descriptions=names, **changes)


def write_product(
    folder: Path, pixels: np.ndarray, *, offset: int | None, jp2: bool = False, coarse: Sequence[str] = ()
) -> Path:
    """Write an L1C product: one file per band, with the offset added to the numbers as ESA does.

    Bands in `coarse` are written at 20 m, with every second pixel.
    """
    images = folder / "GRANULE" / "L1C_T33UUU_A012345_20230601T101601" / "IMG_DATA"
    kind = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"} if jp2 else {}
    for name, band in zip(BANDS, pixels, strict=True):
        stored = band.astype(np.int64) - (offset or 0)
        step = 2 if name in coarse else 1
        file = images / f"T33UUU_20230601T101601_{name}.{'jp2' if jp2 else 'tif'}"
        write_raster(file, stored[None, ::step, ::step].astype(np.uint16), 10.0 * step, **kind)
    if offset is not None:
        rows = "".join(f'<RADIO_ADD_OFFSET band_id="{band}">{offset}</RADIO_ADD_OFFSET>' for band in range(13))
        (folder / "MTD_MSIL1C.xml").write_text(MTD.format(offsets=rows if offset else ""))
    return folder


def write_model(folder: Path, bands: Sequence[str] = BANDS, classes: Sequence[str] = NAMES, lcz: bool = True) -> Path:
    """Write a run folder with an untrained ResNet-8."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    spec = ModelSpec("resnet8", len(bands), len(classes), 32)
    network = build(spec)
    pixels = numbers(bands=len(bands)) / np.float32(10_000)
    some = np.stack([pixels[:, place : place + 32, place : place + 32] for place in range(0, 60, 8)])
    with torch.no_grad():  # remove the mean output, so that outputs differ between places
        network.head.weight *= 40
        network.head.bias -= network.eval()(torch.from_numpy(some)).mean(0)
    save_model(folder, spec, network)
    Task(tuple(bands), tuple(classes), 32, lcz).write(folder)
    return folder


@dataclass
class FakeEngine:
    """Network that is certain of class 1 + (middle value of the window in the first band, in tenths)."""

    task: Task = field(default_factory=lambda: Task(BANDS, NAMES, 32, lcz=True))
    seen: list[np.ndarray] = field(default_factory=list)

    def probabilities(self, patches: np.ndarray) -> np.ndarray:
        self.seen.append(patches)
        found = np.zeros((len(patches), len(self.task.classes)), np.float32)
        tenths = np.rint(patches[:, 0, 16, 16] * 10).astype(int)
        found[np.arange(len(patches)), tenths] = 1
        return found


def job(
    model: Path, *scenes: Path, reading: Reading | None = None, config: MapConfig | None = None, threads: int = 1
) -> MapJob:
    """Make the job of a map."""
    readings = (reading or Reading()).for_scenes(len(scenes))
    return MapJob(model, "torch", threads, scenes, readings, config or MapConfig())


def read_map(folder: Path, name: str) -> np.ndarray:
    """Read the first band of a map's file."""
    import rasterio

    with rasterio.open(folder / name) as raster:
        band: np.ndarray = raster.read(1)
    return band


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files of a map except `map.json`, which contains the run time."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.name != "map.json"}


OUTPUTS = Outputs(name="city")
