"""Scenes of Landsat and HLS from a catalogue on 127.0.0.1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.stac_items import EPSG, LEFT, TOP, bounds_of, item_of, write_cog
from support.stac_scenes import plain_composite, read_scene
from support.stac_server import OLD_CALLS, Catalogue, served

from compactnas.cli import main

rasterio = pytest.importorskip("rasterio", reason="scenes need rasterio (the scene extra)")
pytest.importorskip("odc.stac", reason="scenes from catalogues need odc-stac (the scene extra)")
pytest.importorskip("pystac_client", reason="scenes from catalogues need pystac-client (the scene extra)")
pytestmark = OLD_CALLS

DAYS = ("2024-06-10", "2024-06-13", "2024-07-01")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with served(Catalogue(tmp_path / "files")) as found:
        yield found


def landsat(catalogue: Catalogue, numbers: np.ndarray, quality: np.ndarray, day: str) -> dict[str, Any]:
    """Write an item as Earth Search has it for Landsat Collection 2 Level 2."""
    assets = {}
    names = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")
    declared = {"scale": 2.75e-05, "offset": -0.2, "nodata": 0, "data_type": "uint16"}
    for key, band in {**dict(zip(names, numbers, strict=True)), "qa_pixel": quality}.items():
        file = f"LC08_{day}_{key}.tif"
        write_cog(catalogue.folder / file, band, 30.0)
        assets[key] = {
            "href": f"{catalogue.url}/files/{file}",
            "type": "image/tiff",
            "proj:transform": [30.0, 0, LEFT, 0, -30.0, TOP],
            **({} if key == "qa_pixel" else {"raster:bands": [declared]}),
        }
    properties = {"platform": "landsat-8", "eo:cloud_cover": 3.0}
    return item_of(f"LC08_{day}", "landsat-c2-l2", day, assets, EPSG, properties, 30.0 * len(quality))


def test_landsat_is_read_at_30_m_on_its_own_pixels(catalogue: Catalogue, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    numbers = random.integers(7500, 30_000, (2, 7, 40, 40)).astype(np.uint16)
    quality = np.full((2, 40, 40), 0b1000000, np.uint16)  # clear
    quality[0, 5:15, 5:15] |= 0b1000  # cloud
    quality[1, 20:30, 20:30] |= 0b10000  # cloud shadow
    quality[1, 32:, :] = 1  # fill
    numbers[1, :, 32:, :] = 0
    catalogue.items = [landsat(catalogue, numbers[day], quality[day], DAYS[day]) for day in range(2)]
    catalogue.items[1]["properties"]["platform"] = "landsat-9"
    seven = landsat(catalogue, numbers[0], quality[0], DAYS[2])
    seven["properties"]["platform"] = "landsat-7"
    catalogue.items.append(seven)
    box = ",".join(map(str, bounds_of(65, 65, 1100, 1100)))
    words = ["--dates", "2024", "--catalogue", catalogue.url, "--collection", "landsat-c2-l2"]
    assert main(["scene", box, *words, "-o", str(tmp_path / "a.tif")]) == 0
    found, part = read_scene(tmp_path / "a.tif", 30.0)
    clear = (quality & 0b111111) == 0
    expected = plain_composite(np.rint(numbers * 0.275 - 2000).clip(1), clear)
    np.testing.assert_array_equal(found, expected[:, *part])
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert raster.descriptions == tuple(f"SR_B{number}" for number in range(1, 8))


def test_hls_is_masked_by_fmask(catalogue: Catalogue, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(-50, 4000, (2, 30, 30)).astype(np.int16)
    numbers[:, :3] = -9999
    mask = np.full((30, 30), 0b11000000, np.uint8)  # clear, much aerosol
    mask[:3], mask[10:14, 10:14], mask[20, 20] = 255, 0b10, 0b100000  # none, cloud, water
    assets = {}
    for key, band in {"B02": numbers[0], "B8A": numbers[1], "Fmask": mask}.items():
        write_cog(catalogue.folder / f"HLS_{key}.tif", band, 30.0)
        assets[key] = {"href": f"HLS_{key}.tif", "type": "image/tiff"}  # relative to the item
    properties = {"proj:transform": [30.0, 0, LEFT, 0, -30.0, TOP]}
    catalogue.items = [item_of("HLS.S30.T33UUU.1", "HLSS30_2.0", DAYS[0], assets, EPSG, properties, 900.0)]
    box = ",".join(map(str, bounds_of(45, 45, 800, 800)))
    words = ["--dates", "2024", "--catalogue", catalogue.url, "--collection", "HLSS30_2.0", "--bands", "B8A,B02"]
    assert main(["scene", box, *words, "-o", str(tmp_path / "a.tif")]) == 0
    found, part = read_scene(tmp_path / "a.tif", 30.0)
    expected = np.where(numbers == -9999, 0, numbers.clip(1))[::-1]
    expected[:, 10:14, 10:14] = 0
    np.testing.assert_array_equal(found, expected[:, *part])
