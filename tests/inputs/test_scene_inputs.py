"""Scenes that people bring, for training and for maps: kinds of files, names of bands, gaps that nobody declared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.input_outcomes import Outcome
from support.inputs import Check, Input, Use, assert_note, command, train, verify
from support.map_files import BANDS, numbers, write_model, write_product, write_raster, write_scene
from support.scene_files import (
    LANDSAT,
    LANDSAT_BANDS,
    S2_13,
    classes_of,
    write_cube,
    write_landsat,
    write_vrt,
)

rasterio = pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")

SMALL = ("B02", "B03", "B04")
PIXELS = numbers(96, 128, 3)
TEN = numbers(96, 128)
MAPPED = TEN[:, :64, :80]
REFLECTANCE = MAPPED / np.float32(1e4)
HOLE = (slice(40, 52), slice(60, 70))
"""A square without data; for the shapes of swaths and clouds, its size matters, not its form."""


def write_labels(path: Path, pixel_m: float = 100.0) -> np.ndarray:
    """Write LCZ numbers, one for each 10 x 10 pixels of the scene."""
    rows, columns = np.mgrid[:9, :12]
    labels = ((rows + 2 * columns) % 17 + 1).astype(np.uint8)
    write_raster(path, labels[None], pixel_m)
    return labels


def expected(
    labels: np.ndarray,
    values: np.ndarray,
    *,
    hole: np.ndarray | None = None,
    name: str = "city.tif",
    side: int = 32,
    note: str = "",
) -> Check:
    """Expect the windows in the middle of each label that lie in the scene and touch no hole, and their band means."""
    windows, means = {}, []
    for (row, column), label in np.ndenumerate(labels):
        top, left = 10 * row + 5 - side // 2, 10 * column + 5 - side // 2
        part = np.s_[top : top + side, left : left + side]
        inside = min(top, left) >= 0 and top + side <= values.shape[1] and left + side <= values.shape[2]
        if inside and not (hole is not None and hole[part].any()):
            windows[f"{name}/{top}/{left}"] = int(label)
            means.append(values[:, *part].astype(np.float64).mean((1, 2)))

    def check(outcome: Outcome) -> None:
        assert outcome.get("windows") == windows, outcome.get("error", "other windows")
        np.testing.assert_allclose(outcome["means"], np.mean(means, axis=0), atol=2e-4)
        assert_note(outcome, note)

    assert windows
    return check


def hole_of(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[-2:], bool)
    mask[HOLE] = True
    return mask


def holed(pixels: np.ndarray, value: float) -> np.ndarray:
    """Write a value into all bands over the hole, in a type that holds it."""
    dtype = np.float32 if np.isnan(value) else np.int16 if value < 0 else np.uint16
    found = pixels.astype(dtype) / dtype(10_000) if dtype is np.float32 else pixels.astype(dtype)
    found[:, HOLE[0], HOLE[1]] = value
    return found


def train_on_hole(value: float, folder: Path) -> Use:
    scene = write_scene(folder / "city.tif", holed(PIXELS, value), SMALL)
    labels = write_labels(folder / "city_lcz.tif")
    note = "120 pixels are NaN" if np.isnan(value) else f"120 pixels hold {value:g} in all bands"
    return train(expected(labels, PIXELS / 1e4, hole=hole_of(PIXELS.shape), note=note), path=scene)


def map_hole(value: float, folder: Path) -> Use:
    scene = write_scene(folder / "city.tif", holed(MAPPED, value))
    note = "120 pixels are NaN" if np.isnan(value) else f"120 pixels hold {value:g} in all bands"
    return mapped(folder, scene, hole=hole_of(MAPPED.shape), note=note)


def mapped(
    folder: Path,
    scene: Path,
    *words: object,
    values: np.ndarray = REFLECTANCE,
    hole: np.ndarray | None = None,
    note: str = "",
) -> Use:
    """Map a scene, and expect the classes that the network gives to each window of these values."""
    model = write_model(folder / "model")

    def check(outcome: Outcome) -> None:
        assert "cells" in outcome, outcome
        np.testing.assert_array_equal(outcome["cells"], classes_of(model, values, hole))
        assert_note(outcome, note)

    return command(check, "map", model, scene, "-o", folder / "map", *words, maps=folder / "map")


def two_orders(folder: Path) -> Use:
    """B.tif has the bands of A.tif in another order, and twice the values."""
    for name, pixels, order in (("A", PIXELS, (0, 1, 2)), ("B", PIXELS * 2, (2, 0, 1))):
        write_scene(folder / "s" / f"{name}.tif", pixels[list(order)], [SMALL[place] for place in order])
        labels = write_labels(folder / "s" / f"{name}_lcz.tif")

    def check(outcome: Outcome) -> None:
        single = {**_keys(labels, "A.tif"), **_keys(labels, "B.tif")}
        assert outcome.get("windows") == single, outcome.get("error", "other windows")
        assert outcome["bands"] == list(SMALL)
        inside = [PIXELS[:, r : r + 32, c : c + 32].mean((1, 2)) for r, c in _corners(labels)]
        np.testing.assert_allclose(outcome["means"], 1.5e-4 * np.mean(inside, axis=0), atol=2e-4)

    return train(check, path=folder / "s")


def _corners(labels: np.ndarray) -> list[tuple[int, int]]:
    corners = [(10 * row - 11, 10 * column - 11) for row, column in np.ndindex(*labels.shape)]
    return [(row, column) for row, column in corners if min(row, column) >= 0 and row <= 64 and column <= 96]


def _keys(labels: np.ndarray, name: str) -> dict[str, int]:
    return {f"{name}/{r}/{c}": int(labels[(r + 11) // 10, (c + 11) // 10]) for r, c in _corners(labels)}


def capital_suffix(folder: Path) -> Use:
    write_scene(folder / "s" / "CITY.TIF", PIXELS, SMALL)
    labels = write_labels(folder / "s" / "CITY_lcz.tif")
    return train(expected(labels, PIXELS / 1e4, name="CITY.TIF"), path=folder / "s")


def vrt_of_files(folder: Path) -> Use:
    for name, band in zip(SMALL, PIXELS, strict=True):
        write_raster(folder / "files" / f"{name}.tif", band[None])
    sources = {name: (f"files/{name}.tif", 1) for name in SMALL}
    labels = write_labels(folder / "city_lcz.tif")
    return train(
        expected(labels, PIXELS / 1e4, name="city.vrt"), path=write_vrt(folder / "city.vrt", sources, PIXELS.shape)
    )


def vrt_that_leads_away(source: str, folder: Path) -> Use:
    vrt = write_vrt(folder / "city.vrt", dict.fromkeys(BANDS, (source, 0)), TEN.shape)
    wrong = "city.vrt: takes pixels from .*; only GeoTIFF and JPEG 2000 files on this machine are read"
    return command(wrong, "map", write_model(folder / "model"), vrt, "-o", folder / "map")


def vrt_with_a_program(folder: Path) -> Use:
    vrt = write_vrt(folder / "city.vrt", {"B02": ("a.tif", 1)}, PIXELS.shape)
    text = vrt.read_text().replace("<VRTRasterBand", '<VRTRasterBand subClass="VRTDerivedRasterBand"')
    vrt.write_text(text.replace("<SimpleSource", "<PixelFunctionLanguage>Python</PixelFunctionLanguage><SimpleSource"))
    write_labels(folder / "city_lcz.tif")
    return train(r"has an element VRTRasterBand \(VRTDerivedRasterBand\), which is not read", path=vrt)


def cube(suffix: str, folder: Path) -> Use:
    """A netCDF file or Zarr store whose rows run north; scale and fill are attributes."""
    pixels = PIXELS.astype(np.int16)
    pixels[:, HOLE[0], HOLE[1]] = -9999
    path = write_cube(folder / f"city{suffix}", pixels, SMALL, fill=-9999, scale=2e-4)
    labels = write_labels(folder / "city_lcz.tif")
    check = expected(labels, PIXELS * 2e-4, hole=hole_of(PIXELS.shape), name=path.name, note="no-data pixels")
    return train(check, path=path)


def map_of_a_cube(folder: Path) -> Use:
    return mapped(folder, write_cube(folder / "city.nc", MAPPED.astype(np.int16), BANDS, scale=1e-4))


def cube_of_many_dates(folder: Path) -> Use:
    path = write_cube(folder / "city.nc", PIXELS.astype(np.int16), ("may", "june", "july"), axis="time")
    write_labels(folder / "city_lcz.tif")
    return train(r"numbers has 3 x time; select one date \(xarray: \.isel\(time=0\)\)", path=path)


def zarr_with_code(folder: Path) -> Use:
    path = write_cube(folder / "city.zarr", PIXELS.astype(np.int16), SMALL)
    for file in path.glob("*/zarr.json"):
        file.write_text(file.read_text().replace('"name": "bytes"', '"name": "numcodecs.pickle"'))
    write_labels(folder / "city_lcz.tif")
    return train("is stored with the codec 'numcodecs.pickle', which is not read", path=path)


def earth_search(folder: Path) -> Use:
    names = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22")
    for name, band in zip(names, TEN, strict=True):
        write_raster(folder / "city" / f"S2A_33UUU_20230601_0_L2A_{name}.tif", band[None], nodata=0)
    write_raster(folder / "city" / "S2A_33UUU_20230601_0_L2A_aot.tif", TEN[:1])
    labels = write_labels(folder / "city_lcz.tif")
    return train(expected(labels, TEN / 1e4, name="city", note="offset was assumed to be 0"), path=folder / "city")


def copernicus(folder: Path) -> Use:
    for name, band in zip(BANDS, MAPPED, strict=True):
        write_raster(folder / "city" / f"T33UUU_20200601T101601_{name}_10m.jp2", band[None], **_lossless())
    return mapped(folder, folder / "city", note="no processing baseline in its name")


def _lossless() -> dict[str, Any]:
    return {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}


def landsat(folder: Path) -> Use:
    """Fill 0 and a cloud in QA_PIXEL; reflectance is number x 0.0000275 - 0.2."""
    pixels = (numbers(96, 128, 7) * 3 + 7000).astype(np.uint16)
    hidden = hole_of(pixels.shape)
    pixels[:, hidden] = 0
    cloud = np.zeros_like(hidden)
    cloud[70:74, 100:104] = True
    scene = write_landsat(folder / f"{LANDSAT}_T1", pixels, cloud)
    labels = write_labels(folder / f"{LANDSAT}_T1_lcz.tif", 300.0)
    values = pixels * 2.75e-5 - 0.2
    check = expected(labels, values, hole=hidden | cloud, name=scene.name, side=8, note="no-data pixels or clouds")

    def all_of_it(outcome: Outcome) -> None:
        check(outcome)
        assert outcome["bands"] == list(LANDSAT_BANDS)

    return train(all_of_it, path=scene, window_px=8)


def sentinel_network_on_landsat(folder: Path) -> Use:
    scene = write_landsat(folder / f"{LANDSAT}_T1", numbers(40, 40, 7))
    said = "is a Landsat folder with bands SR_B1, SR_B2.*and the network takes B02.*trained on such scenes"
    return command(said, "map", write_model(folder / "model"), scene, "-o", folder / "map")


def landsat_stack(folder: Path) -> Use:
    scene = write_scene(folder / "city.tif", numbers(40, 40, 7), LANDSAT_BANDS)
    said = "has no band B02; it has SR_B1, SR_B2"
    return command(said, "map", write_model(folder / "model"), scene, "-o", folder / "map")


def hls(folder: Path) -> Use:
    """Fmask has a cloud shadow (bit 3); the fill is -9999 and not declared."""
    start = "HLS.S30.T33UUU.2023152T101601.v2.0"
    pixels = PIXELS.astype(np.int16)
    pixels[:, HOLE[0], HOLE[1]] = -9999
    shadow = np.zeros((1, 96, 128), np.uint8)
    shadow[0, 70:74, 100:104] = 8
    for name, band in (*zip(SMALL, pixels, strict=True), ("Fmask", shadow[0])):
        write_raster(folder / start / f"{start}.{name}.tif", band[None], 30.0)
    labels = write_labels(folder / f"{start}_lcz.tif", 300.0)
    hidden = hole_of(PIXELS.shape) | (shadow[0] > 0)
    return train(expected(labels, PIXELS / 1e4, hole=hidden, name=start, side=8), path=folder / start, window_px=8)


def stack_of_13(folder: Path) -> Use:
    stack = np.full((13, *MAPPED.shape[1:]), 3000, np.uint16)
    stack[[S2_13.index(name) for name in BANDS]] = MAPPED
    return mapped(folder, write_raster(folder / "city.tif", stack), "--bands", "s2-13")


def unknown_stack_of_13(folder: Path) -> Use:
    scene = write_raster(folder / "city.tif", np.full((13, 40, 40), 3000, np.uint16))
    said = "says nothing of the order of its 13 bands; .*or in the order of --bands s2-13 or --bands eurosat"
    return command(said, "map", write_model(folder / "model"), scene, "-o", folder / "map")


def safe_for_training(folder: Path) -> Use:
    """A product with the offset of baseline 04.00, bands of 20 m and a cloud in its scene classification."""
    product = write_product(folder / "S2A_MSIL2A_20230601_N0509.SAFE", TEN, offset=-1000, coarse=("B11",))
    scl = np.full((1, 48, 64), 4, np.uint8)
    scl[0, 20:26, 30:35] = 9
    write_raster(product / "T33UUU_20230601T101601_SCL_20m.tif", scl, 20.0)
    values = TEN / 1e4
    values[8] = values[8, ::2, ::2].repeat(2, 0).repeat(2, 1)
    labels = write_labels(folder / "labels.tif")
    check = expected(labels, values, hole=hole_of(TEN.shape), name=product.name, note="no-data pixels or clouds")
    return train(check, path=product, labels=folder / "labels.tif", bands=BANDS)


def bytes_with_white(folder: Path) -> Use:
    pixels = (PIXELS / 20).clip(1, 254).astype(np.uint8)
    pixels[:, HOLE[0], HOLE[1]] = 255
    pixels[:, 10:13, 100:103] = 255  # a white roof
    scene = write_scene(folder / "city.tif", pixels, SMALL)
    labels = write_labels(folder / "city_lcz.tif")
    hidden = (pixels == 255).all(0)
    return train(expected(labels, pixels, hole=hidden, note="129 pixels hold 255 in all bands"), path=scene)


def degrees(folder: Path) -> Use:
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.0001, 0, 13.4, 0, -0.0001, 52.5)}
    scene = write_scene(folder / "city.tif", PIXELS, SMALL, **place)
    write_labels(folder / "city_lcz.tif")
    return train(r"is in degrees; warp it to UTM first \(rio warp --dst-crs EPSG:32633\)", path=scene)


def local_system(folder: Path) -> Use:
    crs = rasterio.crs.CRS.from_wkt('LOCAL_CS["Site grid",UNIT["metre",1]]')
    scene = write_scene(folder / "city.tif", PIXELS, SMALL, crs=crs)
    write_labels(folder / "city_lcz.tif")
    return train("coordinate system 'Site grid' is local.*cannot be warped.*rio edit-info --crs", path=scene)


def smaller_than_a_window(folder: Path) -> Use:
    values = TEN[:, :20, :25]
    scene = write_scene(folder / "city.tif", values)
    return mapped(folder, scene, values=values / np.float32(1e4), note="20 pixels, smaller than a window of 32 x 32")


def nan_as_no_data(folder: Path) -> Use:
    scene = write_scene(folder / "city.tif", holed(PIXELS, np.nan), SMALL, nodata=np.nan)
    labels = write_labels(folder / "city_lcz.tif")
    check = expected(labels, PIXELS / 1e4, hole=hole_of(PIXELS.shape), note="no-data pixels")
    return train(check, path=scene)


def dark_and_bright_pixels(folder: Path) -> Use:
    """A few pixels of 0 and 65535 are measurements: no square of 3 x 3 pixels holds one of them."""
    pixels = PIXELS.copy()
    pixels[:, 40:42, 60:62] = 0
    pixels[:, 50, 60:80] = 65535
    scene = write_scene(folder / "city.tif", pixels, SMALL)
    return train(expected(write_labels(folder / "city_lcz.tif"), pixels / 1e4), path=scene)


def kept_fill(folder: Path) -> Use:
    scene = write_scene(folder / "city.tif", holed(PIXELS, 0), SMALL)
    labels = write_labels(folder / "city_lcz.tif")
    return train(expected(labels, holed(PIXELS, 0) / 1e4), path=scene, nodata="-")


def scale_by_hand(folder: Path) -> Use:
    scene = write_scene(folder / "city.tif", PIXELS.astype(np.float32), SMALL)
    labels = write_labels(folder / "city_lcz.tif")
    return train(expected(labels, (PIXELS.astype(float) - 1000) / 5e3), path=scene, scale=2e-4, offset=-1000.0)


FILLS: dict[str, float] = {"65535": 65535, "-9999": -9999, "0": 0, "NaN": np.nan}


def _for(what: str, use: Callable[[float, Path], Use]) -> list[Input]:
    return [Input(f"a hole of undeclared {name}, {what}", partial(use, value)) for name, value in FILLS.items()]


INPUTS = (
    *_for("training", train_on_hole),
    *_for("map", map_hole),
    Input("folder of A.tif and B.tif with bands in another order", two_orders),
    Input("a folder with CITY.TIF", capital_suffix),
    Input("VRT of local files", vrt_of_files),
    Input("VRT with a URL", partial(vrt_that_leads_away, "https://example.org/a.tif")),
    Input("VRT with /vsicurl", partial(vrt_that_leads_away, "/vsicurl/https://example.org/a.tif")),
    Input("VRT with a Python pixel function", vrt_with_a_program),
    Input("netCDF", partial(cube, ".nc")),
    Input("Zarr", partial(cube, ".zarr")),
    Input("netCDF, map", map_of_a_cube),
    Input("netCDF with three dates", cube_of_many_dates),
    Input("Zarr with a codec that runs code", zarr_with_code),
    Input("Earth Search file names", earth_search),
    Input("Copernicus file names, map", copernicus),
    Input("Landsat folder", landsat),
    Input("Landsat folder, network of Sentinel-2", sentinel_network_on_landsat),
    Input("GeoTIFF of Landsat bands, network of Sentinel-2", landsat_stack),
    Input("HLS folder", hls),
    Input("13 bands without names, --bands s2-13", stack_of_13),
    Input("13 bands without names", unknown_stack_of_13),
    Input("SAFE for training", safe_for_training),
    Input("uint8 scene with a white hole", bytes_with_white),
    Input("scene in degrees", degrees),
    Input("local coordinate system", local_system),
    Input("area smaller than a window", smaller_than_a_window),
    Input("float scene with NaN declared", nan_as_no_data),
    Input("single pixels of 0 and 65535", dark_and_bright_pixels),
    Input("a hole of 0, --data.nodata -", kept_fill),
    Input("scale and offset by hand, training", scale_by_hand),
)


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_a_scene_gives_the_right_windows_or_says_why_not(one: Input, tmp_path: Path) -> None:
    verify(one, tmp_path)
