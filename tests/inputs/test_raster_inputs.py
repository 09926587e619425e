"""Rasters of labels and references as people have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.input_outcomes import Outcome
from support.inputs import Check, Input, Use, command, train, verify, windows
from support.map_files import EPSG, LEFT, TOP, numbers, write_raster, write_scene

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")

ROWS, COLUMNS, PIXEL_M, WINDOW = 96, 128, 10.0, 32
LABELS = np.random.default_rng(4).integers(0, 18, (9, 12)).astype(np.uint8)
"""Labels of 100 m on a scene of 960 x 1280 m."""


def placed(labels: np.ndarray, side: float = 100.0, at: tuple[float, float] = (0, 0)) -> dict[str, int]:
    """The window around the middle of each label whose window lies on the scene: the plain rule, label by label."""
    found = {}
    for row, column in np.ndindex(labels.shape):
        x, y = at[0] + (column + 0.5) * side, at[1] + (row + 0.5) * side  # metres to the east and to the south
        found |= window_at(y, x, int(labels[row, column]))
    return found


def window_at(south_m: float, east_m: float, lcz: int) -> dict[str, int]:
    """The window around a place, in metres from the upper left corner of the scene; empty if it has none."""
    row, column = (int(np.floor(metres / PIXEL_M)) - WINDOW // 2 for metres in (south_m, east_m))
    whole = 0 <= row <= ROWS - WINDOW and 0 <= column <= COLUMNS - WINDOW
    return {f"city.tif/{row}/{column}": lcz} if lcz and whole else {}


def labelled(
    folder: Path,
    labels: np.ndarray,
    expect: Check | str,
    side: float = 100.0,
    at: tuple[float, float] = (0, 0),
    **changes: Any,
) -> Use:
    """A scene with a raster of labels beside it."""
    from rasterio import Affine

    write_scene(folder / "city.tif", numbers())
    place = {"transform": Affine(side, 0, LEFT + at[0], 0, -side, TOP - at[1])}
    write_raster(folder / "city_lcz.tif", labels if labels.ndim == 3 else labels[None], side, **place | changes)
    return train(expect, path=folder / "city.tif")


def with_nan(folder: Path) -> Use:
    values = np.where(LABELS == 0, np.nan, LABELS.astype(np.float32))
    return labelled(folder, values, windows(placed(LABELS)))


def declared(folder: Path) -> Use:
    values = np.where(LABELS == 0, -999, LABELS.astype(np.int16))
    return labelled(folder, values, windows(placed(LABELS)), nodata=-999)


def undeclared(folder: Path) -> Use:
    values = np.where(LABELS == 0, -999, LABELS.astype(np.int16))
    count = int((LABELS == 0).sum())
    return labelled(folder, values, windows(placed(LABELS), rf"{count} pixels hold -999, which the file does not decl"))


def undeclared_255(folder: Path) -> Use:
    values = np.where(LABELS == 0, np.uint8(255), LABELS)
    return labelled(folder, values, windows(placed(LABELS), r"pixels hold 255, which the file does not declare"))


def codes(folder: Path) -> Use:
    values = np.where(LABELS > 10, LABELS.astype(np.int32) + 90, LABELS)
    return labelled(folder, values, windows(placed(LABELS), "codes 101 to 107 are read as LCZ A to G"))


def doubles(folder: Path) -> Use:
    return labelled(folder, LABELS.astype(np.float64), windows(placed(LABELS)), nodata=0)


def elsewhere(folder: Path, system: str, place: Callable[[float, float], Any], note: str) -> Use:
    """Labels on a grid in another system: the window of each lies at the scene pixel under its middle."""
    from pyproj import Transformer

    back = Transformer.from_crs(system, f"EPSG:{EPSG}", always_xy=True)
    x, y = Transformer.from_crs(f"EPSG:{EPSG}", system, always_xy=True).transform(LEFT, TOP)
    transform = place(x, y)
    expected = {}
    for row, column in np.ndindex(LABELS.shape):
        east, north = back.transform(
            transform.c + transform.a * (column + 0.5), transform.f + transform.e * (row + 0.5)
        )
        expected |= window_at(TOP - north, east - LEFT, int(LABELS[row, column]))
    assert len(expected) > 20
    return labelled(folder, LABELS, windows(expected, note), crs=system, transform=transform)


def in_degrees(folder: Path) -> Use:
    from rasterio import Affine

    def place(x: float, y: float) -> Any:
        return Affine(0.00145, 0, x - 0.0002, 0, -0.0009, y + 0.0003)

    return elsewhere(folder, "EPSG:4326", place, f"is in EPSG:4326, the scene in EPSG:{EPSG}; each label is read at")


def another_zone(folder: Path) -> Use:
    from rasterio import Affine

    def place(x: float, y: float) -> Any:
        return Affine(100, 0, x, 0, -100, y)

    return elsewhere(folder, "EPSG:32632", place, f"is in EPSG:32632, the scene in EPSG:{EPSG}")


def coarser(folder: Path) -> Use:
    labels = LABELS[:3, :4] % 17 + 1
    return labelled(folder, labels, windows(placed(labels, 300.0)), 300.0)


def finer(folder: Path) -> Use:
    """Every fifth label of 20 m is taken in each direction, from the middle of the first five on."""
    labels = np.random.default_rng(5).integers(0, 18, (48, 64)).astype(np.uint8)
    expected = {}
    for row in range(2, 48, 5):
        for column in range(2, 64, 5):
            expected |= window_at((row + 0.5) * 20, (column + 0.5) * 20, int(labels[row, column]))
    return labelled(folder, labels, windows(expected), 20.0)


def partly_outside(folder: Path) -> Use:
    labels, at = LABELS % 17 + 1, (-430.0, 350.0)
    middles = [(at[0] + 100 * column + 50, at[1] + 100 * row + 50) for row, column in np.ndindex(labels.shape)]
    off = sum(not (0 <= x < COLUMNS * PIXEL_M and 0 <= y < ROWS * PIXEL_M) for x, y in middles)
    note = f"{off} of 108 labels do not lie on the scene"
    return labelled(folder, labels, windows(placed(labels, at=at), note), at=at)


def three_bands(folder: Path) -> Use:
    bands = np.stack([np.minimum(LABELS, 1) * np.uint8(70), np.full_like(LABELS, 3), LABELS])
    names = ("classProbability", "lczFilter", "lcz")
    return labelled(folder, bands, windows(placed(LABELS)), descriptions=names, photometric="minisblack", nodata=0)


def class_18(folder: Path) -> Use:
    labels = LABELS.copy()
    labels[4, 7] = 18
    return labelled(folder, labels, r"city_lcz\.tif: holds 18; labels are LCZ numbers 1 to 17 .*row 4, column 7")


def no_label(folder: Path) -> Use:
    return labelled(folder, LABELS * 0, "its labels are all 0 or no data; give labels 1 to 17")


def palette(folder: Path) -> Use:
    import rasterio

    use = labelled(folder, LABELS, windows(placed(LABELS)))
    with rasterio.open(folder / "city_lcz.tif", "r+") as raster:
        raster.write_colormap(1, {number: (255 - number, number, 0, 255) for number in range(18)})
    return use


def picture(folder: Path) -> Use:
    colours = np.stack([LABELS * np.uint8(15), 255 - LABELS, LABELS])
    return labelled(
        folder, colours, "is a picture in red, green and blue .*give the raster of classes", photometric="rgb"
    )


def archive(folder: Path) -> Use:
    labels = np.tile(np.arange(1, 18), 3)
    np.savez(folder / "patches.npz", images=np.random.default_rng(0).random((51, 2, 8, 8), np.float32), labels=labels)
    expected = {f"patches.npz/{row}": int(label) for row, label in enumerate(labels)}
    return train(windows(expected, "read as LCZ numbers 1 to 17, since none is 0"), path=folder / "patches.npz")


def archive_from_zero(folder: Path) -> Use:
    labels = np.tile(np.arange(17), 3)
    np.savez(folder / "patches.npz", images=np.random.default_rng(0).random((51, 2, 8, 8), np.float32), labels=labels)
    return train(
        windows({f"patches.npz/{row}": int(label) + 1 for row, label in enumerate(labels)}), path=folder / "patches.npz"
    )


MAP = np.random.default_rng(6).integers(1, 18, (40, 50)).astype(np.uint8)
"""A map of 100 m."""


def scored(expected: np.ndarray, covered: float | None = None, note: str = "") -> Check:
    """Expect this confusion matrix."""

    def check(outcome: Outcome) -> None:
        assert "printed" in outcome, outcome
        found = json.loads(outcome["printed"])
        np.testing.assert_array_equal(found["every"]["confusion"], expected)
        assert covered is None or abs(found["covered"] - covered) < 1e-9, found["covered"]
        assert note in " ".join(found["notes"]), found["notes"]

    return check


def confusion(mapped: np.ndarray, true: np.ndarray) -> np.ndarray:
    found = np.zeros((17, 17), np.int64)
    for m, t in zip(mapped.ravel().tolist(), true.ravel().tolist(), strict=True):
        if m and t:
            found[t - 1, m - 1] += 1
    return found


def reference_in_degrees(folder: Path) -> Use:
    """Each cell takes the class of the reference pixel under its middle."""
    from pyproj import Transformer
    from rasterio import Affine

    truth = np.random.default_rng(7).integers(0, 18, (60, 70)).astype(np.uint8)
    to = Transformer.from_crs(f"EPSG:{EPSG}", "EPSG:4326", always_xy=True)
    x, y = to.transform(LEFT, TOP)
    place = Affine(0.00147, 0, x - 0.003, 0, -0.0009, y + 0.002)
    true = np.zeros_like(MAP)
    for row, column in np.ndindex(MAP.shape):
        lon, lat = to.transform(LEFT + 100 * column + 50, TOP - 100 * row - 50)
        at = int((place.f - lat) // 0.0009), int((lon - place.c) // 0.00147)
        true[row, column] = truth[at] if min(at) >= 0 and at[0] < 60 and at[1] < 70 else 0
    write_raster(folder / "map.tif", MAP[None], 100.0, nodata=0)
    write_raster(folder / "truth.tif", truth[None], crs="EPSG:4326", transform=place, nodata=0)
    note = f"is in EPSG:4326, the map in EPSG:{EPSG}"
    return command(
        scored(confusion(MAP, true), note=note), "assess", folder / "map.tif", folder / "truth.tif", "--json"
    )


def half_covered(folder: Path) -> Use:
    truth = np.full((40, 50), 5, np.uint8)
    write_raster(folder / "map.tif", MAP[None, :, :20], 100.0, nodata=0)
    write_raster(folder / "truth.tif", truth[None], 100.0, nodata=0)
    expected = scored(confusion(MAP[:, :20], truth[:, :20]), covered=0.4)
    return command(expected, "assess", folder / "map.tif", folder / "truth.tif", "--json")


def reference_of_doubles(folder: Path) -> Use:
    truth = np.random.default_rng(8).integers(0, 18, MAP.shape)
    values = np.where(truth > 10, truth + 90, np.where(truth == 0, np.nan, truth)).astype(np.float64)
    write_raster(folder / "map.tif", MAP[None], 100.0, nodata=0)
    write_raster(folder / "truth.tif", values[None], 100.0)
    expected = scored(confusion(MAP, truth), note="codes 101 to 107")
    return command(expected, "assess", folder / "map.tif", folder / "truth.tif", "--json")


def domain(folder: Path, reach: float) -> tuple[Path, Path]:
    """A map in degrees, and a WRF domain whose outer cells lie `reach` degrees inside its edges."""
    import h5py
    from rasterio import Affine

    write_raster(
        folder / "map.tif", MAP[None], crs="EPSG:4326", transform=Affine(0.001, 0, 13, 0, -0.001, 52.5), nodata=0
    )
    longitude, latitude = np.meshgrid(
        np.linspace(13 + reach, 13.05 - reach, 9), np.linspace(52.46 + reach, 52.5 - reach, 8)
    )
    with h5py.File(folder / "geo_em.d01.nc", "w") as file:
        file["XLONG_M"], file["XLAT_M"] = longitude[None].astype("f4"), latitude[None].astype("f4")
    return folder / "map.tif", folder / "geo_em.d01.nc"


def small_domain(folder: Path) -> Use:
    def check(outcome: Outcome) -> None:
        assert "covers 100 % of the 72 cells" in outcome["printed"] and "W2W" not in outcome["printed"], outcome

    return command(check, "assess", *domain(folder, 0.002))


def large_domain(folder: Path) -> Use:
    """Six of eight rows and seven of nine columns lie on the map."""

    def check(outcome: Outcome) -> None:
        assert "covers 58.3 % of the 72 cells" in outcome["printed"], outcome
        assert "W2W would refuse this map: it must reach beyond the domain on all sides" in outcome["printed"], outcome

    return command(check, "assess", *domain(folder, -0.004))


INPUTS = (
    Input("label raster of float32 with NaN", with_nan),
    Input("label raster of int16, -999 declared", declared),
    Input("label raster of int16, -999 undeclared", undeclared),
    Input("label raster, 255 undeclared", undeclared_255),
    Input("label raster with codes 101 to 107", codes),
    Input("label raster of float64", doubles),
    Input("label raster in EPSG:4326 for a UTM scene", in_degrees),
    Input("label raster in another UTM zone", another_zone),
    Input("label raster of 300 m", coarser),
    Input("label raster of 20 m", finer),
    Input("label raster partly outside the scene", partly_outside),
    Input("label raster with classProbability, lczFilter, lcz", three_bands),
    Input("label raster with a value 18", class_18),
    Input("label raster of zeros", no_label),
    Input("label raster with a palette", palette),
    Input("label raster that is a picture (RGB)", picture),
    Input("`.npz` with labels 1 to 17", archive),
    Input("`.npz` with labels 0 to 16", archive_from_zero),
    Input("reference in EPSG:4326 for a map in UTM", reference_in_degrees),
    Input("map that covers 40 % of its reference", half_covered),
    Input("reference of float64 with NaN and codes 101 to 107", reference_of_doubles),
    Input("map that covers a WRF domain", small_domain),
    Input("map that does not cover a WRF domain", large_domain),
)


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_an_input_gives_the_right_windows_or_says_why_not(one: Input, tmp_path: Path) -> None:
    verify(one, tmp_path)
