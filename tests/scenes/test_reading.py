"""What scene files hold beside their bands: cloud masks, own masks, coordinates, fills, and bands without names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.map_files import LEFT, TOP, numbers, write_product, write_raster, write_scene

from compactnas.config.reading import Reading
from compactnas.mapping.job import _files_of
from compactnas.scenes.bands import sentinel_name
from compactnas.scenes.reading import open_scene, with_gaps
from compactnas.scenes.scene import Window

rasterio = pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")

NAMES, WHOLE = ("B02", "B03"), Window(0, 0, 30, 30)
DATA = Reading(caller="data")


@pytest.mark.parametrize("name", ["SCL", "scl", "Scl"])
def test_a_scene_classification_masks_clouds_however_it_is_spelt(name: str, tmp_path: Path) -> None:
    pixels = numbers(30, 30, 3)
    pixels[2] = 9
    pixels[2, :10] = 4
    path = write_scene(tmp_path / "a.tif", pixels, (*NAMES, name))
    with open_scene(path, (), DATA) as scene:
        assert scene.bands == NAMES and scene.read(WHOLE)[1].sum() == 300


def test_a_files_own_mask_counts_beside_its_no_data_value(tmp_path: Path) -> None:
    pixels = numbers(30, 30, 2) + 1
    pixels[:, :, 20:] = 0
    path = write_scene(tmp_path / "a.tif", pixels, NAMES, nodata=0)
    with rasterio.open(path, "r+") as file:
        file.write_mask(np.arange(30)[:, None] * np.ones(30) < 15)
    with open_scene(path, NAMES, DATA) as scene:
        assert scene.read(WHOLE)[1].sum() == 15 * 20


def test_a_fill_of_64_bits_is_missing_exactly(tmp_path: Path) -> None:
    pixels = numbers(30, 30, 2).astype(np.float64)
    pixels[:, 4:9, 4:9] = float(np.finfo(np.float32).min)
    path = write_raster(tmp_path / "a.tif", pixels, descriptions=NAMES)
    found, _ = with_gaps(path, NAMES, DATA)
    with open_scene(path, NAMES, found) as scene:
        assert scene.read(WHOLE)[1].sum() == 900 - 25


def test_coordinates_and_masks_of_a_cube_change_nothing(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray", reason="cubes need xarray (the map extra)")
    pytest.importorskip("h5netcdf", reason="cubes need h5netcdf (the map extra)")
    from rasterio.crs import CRS

    x, y = LEFT + 10 * (np.arange(30) + 0.5), TOP - 10 * (np.arange(30) + 0.5)
    pixels = {name: (("y", "x"), band) for name, band in zip(NAMES, numbers(30, 30, 2), strict=True)}
    grid = {"spatial_ref": ((), 0, {"crs_wkt": CRS.from_epsg(32633).to_wkt()})}
    plain = xarray.Dataset(pixels | grid, {"y": y, "x": x})
    flat = (("y", "x"), np.zeros((30, 30)))
    beside = plain.assign(
        lat=(*flat, {"units": "degrees_north"}),
        lon=(*flat, {"standard_name": "longitude"}),
        height=flat,
        dataMask=(("y", "x"), np.ones((30, 30), np.uint8)),
    )
    beside["B02"].attrs["coordinates"] = "height"
    found = []
    for name, data in (("plain", plain), ("beside", beside)):
        data.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        with open_scene(tmp_path / f"{name}.nc", NAMES, DATA) as scene:
            found.append(scene.read(WHOLE)[0])
            assert scene.assumed
    np.testing.assert_array_equal(*found)
    with open_scene(tmp_path / "beside.nc", (), DATA) as scene:
        assert scene.bands == (*NAMES, "dataMask")


@pytest.mark.parametrize("bands", [2, 5])
def test_bands_without_names_are_taken_by_their_place_and_that_is_said(bands: int, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(30, 30, bands))
    with open_scene(path, ("band1", "band2"), Reading(caller="map")) as scene:
        assert f"neither its {bands} bands nor those of the network have names; it takes band1, band2" in scene.notes[0]


def test_red_green_and_blue_are_found_by_name(tmp_path: Path) -> None:
    assert [sentinel_name(name) for name in "RGBr"] == ["B04", "B03", "B02", "r"]
    pixels = numbers(30, 30, 3)
    path = write_scene(tmp_path / "a.tif", pixels, ("B02", "B03", "B04"))
    with open_scene(path, ("R", "G", "B"), Reading(caller="map", scale=1.0)) as scene:
        np.testing.assert_array_equal(scene.read(WHOLE)[0], pixels[::-1])


def test_metadata_of_old_products_name_their_level(tmp_path: Path) -> None:
    product = write_product(tmp_path / "p.SAFE", numbers(30, 30), offset=0)
    file = product / "MTD_MSIL1C.xml"
    plain = file.read_text()
    old = plain.replace("QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    values = []
    for text, reading in ((plain, Reading()), (old, Reading()), ("<nothing/>", Reading(scale=1e-4, offset=0.0))):
        file.write_text(text)
        with open_scene(product, ("B02",), reading) as scene:
            values.append(scene.read(WHOLE)[0])
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_allclose(values[0], values[2], rtol=1e-6)


def test_the_files_of_a_mosaic_belong_to_the_scene(tmp_path: Path) -> None:
    from support.scene_files import write_vrt

    pixels = numbers(30, 30, 2)
    for name, band in zip(NAMES, pixels, strict=True):
        write_raster(tmp_path / f"{name}.tif", band[None])
    mosaic = write_vrt(tmp_path / "city.vrt", {name: (f"{name}.tif", 1) for name in NAMES}, pixels.shape)
    assert _files_of(mosaic) == [mosaic, tmp_path / "B02.tif", tmp_path / "B03.tif"]
    assert _files_of(tmp_path / "B02.tif") == [tmp_path / "B02.tif"]
