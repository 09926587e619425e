"""Maps: cells where they belong, the same from any form of a scene, and files that others read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.map_files import (
    BANDS,
    LEFT,
    OUTPUTS,
    TOP,
    FakeEngine,
    contents,
    job,
    numbers,
    read_map,
    write_model,
    write_product,
    write_raster,
    write_scene,
)

from compactnas.cli import main
from compactnas.config.reading import Reading
from compactnas.lcz import CLASSES
from compactnas.mapping import grid
from compactnas.mapping.config import MapConfig, Outputs
from compactnas.mapping.executors import local
from compactnas.mapping.mapping import make_map

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Every model is a fake one that names a window's middle."""
    fake = FakeEngine()
    monkeypatch.setattr("compactnas.mapping.executor.open_engine", lambda *_: fake)
    return fake


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "run")


def mapped(out: Path, model: Path, *scenes: Path, outputs: Outputs = OUTPUTS, **choices: Any) -> dict[str, Any]:
    warned: list[str] = []
    about = make_map(job(model, *scenes, **choices), out, outputs, lambda done, total: None, warned.append)
    return about | {"warned": warned}


def tenths(classes: np.ndarray, pixel: int = 1) -> np.ndarray:
    """Pixels for which the fake engine names these classes, (row, column)."""
    plane = np.kron((classes - 1) * 1000, np.ones((pixel, pixel))).astype(np.uint16)
    return np.repeat(np.maximum(plane, 1)[None], len(BANDS), axis=0)


@pytest.mark.parametrize("step", [10, 16])
@pytest.mark.parametrize("edges", ["mirror", "leave"])
def test_a_cells_class_is_that_of_its_own_ground(
    edges: Any, step: int, engine: FakeEngine, model: Path, tmp_path: Path
) -> None:
    """A border between two halves is found to the cell, and every cell lies where its window's middle does."""
    pixels = np.full((87, 131), 3)
    pixels[:, 66:], pixels[40:, :] = 8, pixels[40:, :] + 2
    scene = write_scene(tmp_path / "scene.tif", tenths(pixels))
    mapped(tmp_path / "map", model, scene, config=MapConfig(edges=edges, stride_px=step))
    with rasterio.open(tmp_path / "map" / "city_lcz.tif") as raster:
        labels, transform, crs = raster.read(1), raster.transform, raster.crs
    first = 0 if edges == "mirror" else (32 - step) // 2
    assert tuple(transform)[:6] == (10 * step, 0, LEFT + 10 * first, 0, -10 * step, TOP - 10 * first)
    assert crs.to_epsg() == 32633
    sides = [-(-side // step) if edges == "mirror" else (side - 32) // step + 1 for side in pixels.shape]
    assert labels.shape == tuple(sides)
    offset = first + 16 - (32 - step) // 2  # of the pixel that the engine looks at, in the cell
    for row in range(sides[0]):
        for column in range(sides[1]):
            y, x = (min(offset + step * place, 10**6) for place in (row, column))
            y, x = (side - 1 - abs(side - 1 - at) for at, side in ((y, pixels.shape[0]), (x, pixels.shape[1])))
            assert labels[row, column] == pixels[y, x], (row, column)


def test_windows_at_an_edge_are_mirrored(engine: FakeEngine, model: Path, tmp_path: Path) -> None:
    values = numbers(60, 70)
    mapped(tmp_path / "map", model, write_scene(tmp_path / "scene.tif", values))
    padded = np.pad(values, ((0, 0), (11, 30), (11, 30)), mode="reflect")
    windows = np.concatenate(engine.seen)
    assert len(windows) == 6 * 7
    for place in (0, 3, 6, 20, 41):
        row, column = divmod(place, 7)
        expected = padded[:, row * 10 : row * 10 + 32, column * 10 : column * 10 + 32] / np.float32(10_000)
        np.testing.assert_array_equal(windows[place], expected.astype(np.float32))


def test_blocks_do_not_show(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = write_scene(tmp_path / "scene.tif", numbers())
    mapped(tmp_path / "whole", model, scene)
    monkeypatch.setattr(grid, "BLOCK_ROWS", 3)
    monkeypatch.setattr(grid, "BLOCK_COLUMNS", 4)
    mapped(tmp_path / "parts", model, scene)
    labels = read_map(tmp_path / "whole", "city_lcz.tif")
    np.testing.assert_array_equal(labels, read_map(tmp_path / "parts", "city_lcz.tif"))
    assert len(np.unique(labels)) > 1


def bands_reversed(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_scene(where / "s.tif", pixels[::-1], BANDS[::-1]), Reading()


def short_names_and_more_bands(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    names = ("B1", "B2", "b3", "B04 (red)", "B5", "B6", "B7", "B8", "8 narrow", "B8A", "B11", "B12")
    more = np.insert(pixels, [0, 7], 7, axis=0)
    return write_scene(where / "s.tif", more, names), Reading()


def common_names(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    names = "blue green red rededge1 rededge2 rededge3 nir nir08 swir16 swir22".split()
    return write_scene(where / "s.tif", pixels, names), Reading()


def named_by_hand(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_raster(where / "s.tif", pixels), Reading(bands=",".join(BANDS))


def reflectance_as_floats(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_scene(where / "s.tif", (pixels / 10_000).astype(np.float32)), Reading()


def scale_in_the_file(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_scene(where / "s.tif", pixels, scale=0.0001), Reading()


def offset_by_hand(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_scene(where / "s.tif", pixels + 1000), Reading(offset=-1000.0)


def offset_in_the_file(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_scene(where / "s.tif", pixels + 1000, scale=0.0001, offset=-0.1), Reading()


def product_before_the_offset(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_product(where / "S2A_MSIL1C_20200601T101601_N0209_R065_T33UUU.SAFE", pixels, offset=0), Reading()


def product_with_offset(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_product(where / "S2A_MSIL1C_20230601T101601_N0509_R065_T33UUU.SAFE", pixels, offset=-1000), Reading()


def jpeg_2000(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    return write_product(where / "S2A_MSIL1C_20230601_N0400_R065.SAFE", pixels, offset=-1000, jp2=True), Reading()


def offset_by_the_name(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    folder = write_product(where / "S2A_MSIL1C_20230601T101601_N0400_R065_T33UUU.SAFE", pixels + 1000, offset=None)
    return folder, Reading()


def plain_folder(where: Path, pixels: np.ndarray) -> tuple[Path, Reading]:
    for name, band in zip(BANDS, pixels, strict=True):
        write_raster(where / "s" / f"{name}.tif", band[None])
    return where / "s", Reading()


FORMS = (
    bands_reversed,
    short_names_and_more_bands,
    common_names,
    named_by_hand,
    reflectance_as_floats,
    scale_in_the_file,
    offset_by_hand,
    offset_in_the_file,
    product_before_the_offset,
    product_with_offset,
    jpeg_2000,
    offset_by_the_name,
    plain_folder,
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_scene_in_any_form_gives_the_same_values(form: Any, engine: FakeEngine, model: Path, tmp_path: Path) -> None:
    pixels = numbers(40, 50)
    scene, reading = form(tmp_path, pixels)
    about = mapped(tmp_path / "map", model, scene, reading=reading, config=MapConfig(edges="leave"))
    expected = pixels[:, :32, :32] / np.float32(10_000)
    np.testing.assert_allclose(engine.seen[0][0], expected, rtol=0, atol=1e-7)
    unsure = {offset_by_the_name: "offset -1000 by the processing baseline", plain_folder: "no metadata"}
    assert [form in unsure and unsure[form] in note for note in about["warned"]] == [True] * (form in unsure)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_bands_of_20_m_are_brought_to_10_m(resampling: Any, engine: FakeEngine, model: Path, tmp_path: Path) -> None:
    pixels, coarse = numbers(41, 51), ("B05", "B12")
    product = write_product(tmp_path / "x.SAFE", pixels, offset=-1000, coarse=coarse)
    reading = Reading(resampling=resampling)
    mapped(tmp_path / "map", model, product, reading=reading, config=MapConfig(edges="leave", stride_px=9))
    method = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}[resampling]
    values = pixels / np.float32(10_000)
    for name in coarse:
        small = Image.fromarray(values[BANDS.index(name), ::2, ::2])
        values[BANDS.index(name)] = np.asarray(small.resize((52, 42), method))[:41, :51]
    windows = np.concatenate(engine.seen)
    for row, column in ((0, 0), (1, 2)):
        expected = values[:, 9 * row : 9 * row + 32, 9 * column : 9 * column + 32]
        np.testing.assert_allclose(windows[3 * row + column], expected, rtol=0, atol=2e-7)


def holes(pixels: np.ndarray) -> np.ndarray:
    """Where a hole of 3 x 4 pixels lies: in the windows of some cells."""
    hole = np.zeros(pixels.shape[1:], bool)
    hole[40:43, 60:64] = True
    return hole


def no_data(where: Path, pixels: np.ndarray, hole: np.ndarray) -> tuple[Path, Reading]:
    pixels[:, hole] = 65_535
    return write_scene(where / "s.tif", pixels, nodata=65_535), Reading()


def nan(where: Path, pixels: np.ndarray, hole: np.ndarray) -> tuple[Path, Reading]:
    values = (pixels / 10_000).astype(np.float32)
    values[3, hole] = np.nan
    return write_scene(where / "s.tif", values), Reading()


def zero_in_every_band(where: Path, pixels: np.ndarray, hole: np.ndarray) -> tuple[Path, Reading]:
    pixels[:, hole] = 0
    pixels[4, 10, 10] = 0  # a dark pixel of one band is none
    return write_scene(where / "s.tif", pixels, nodata=0), Reading()


def a_mask(where: Path, pixels: np.ndarray, hole: np.ndarray) -> tuple[Path, Reading]:
    mask = write_raster(where / "clouds.tif", hole[None].astype(np.uint8))
    return write_scene(where / "s.tif", pixels), Reading(mask=str(mask))


def mask_inside(where: Path, pixels: np.ndarray, hole: np.ndarray) -> tuple[Path, Reading]:
    scene = write_scene(where / "s.tif", pixels)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(scene, "r+") as file:
        file.write_mask(~hole)
    return scene, Reading()


def scl_band(where: Path, pixels: np.ndarray, hole: np.ndarray) -> tuple[Path, Reading]:
    scl = np.where(hole, 9, 5).astype(np.uint16)
    return write_scene(where / "s.tif", np.concatenate([pixels, scl[None]]), (*BANDS, "SCL")), Reading()


HOLES = (no_data, nan, zero_in_every_band, a_mask, mask_inside, scl_band)


@pytest.mark.parametrize("kind", HOLES, ids=lambda kind: kind.__name__)
def test_a_window_with_a_hole_has_no_class_unless_that_is_allowed(
    kind: Any, engine: FakeEngine, model: Path, tmp_path: Path
) -> None:
    pixels = numbers()
    hole = holes(pixels)
    scene, reading = kind(tmp_path, pixels.copy(), hole)
    about = mapped(tmp_path / "strict", model, scene, reading=reading)
    padded = np.pad(hole, 40, mode="reflect")
    touched = np.array(
        [[padded[29 + 10 * r : 61 + 10 * r, 29 + 10 * c : 61 + 10 * c].any() for c in range(13)] for r in range(10)]
    )
    assert touched.any() and not touched.all()
    np.testing.assert_array_equal(read_map(tmp_path / "strict", "city_lcz.tif") == 0, touched)
    assert about["cells"]["without_class"] == touched.sum()
    engine.seen.clear()
    mapped(tmp_path / "lenient", model, scene, reading=reading, config=MapConfig(min_valid=0.9))
    assert (read_map(tmp_path / "lenient", "city_lcz.tif") > 0).all()
    windows = np.concatenate(engine.seen)
    assert np.isfinite(windows).all()
    row, column = 4, 6  # its window holds the whole hole: rows 29 to 60, columns 49 to 80
    inside = hole[29:61, 49:81]
    assert inside.sum() == 12
    whole = pixels[:, 29:61, 49:81] / 10_000
    for band in range(len(BANDS)):
        filled = windows[row * 13 + column, band]
        np.testing.assert_allclose(filled[inside], whole[band][~inside].mean(), rtol=1e-5)
        np.testing.assert_allclose(filled[~inside], whole[band][~inside], rtol=1e-6)


def _sees(cell: int, pixel: int) -> bool:
    """Whether a cell's window holds one of two neighbouring pixels of a row or column."""
    return pixel - 31 <= 10 * cell - 11 <= pixel + 1


def test_clouds_of_an_l2a_product_are_left_out(engine: FakeEngine, model: Path, tmp_path: Path) -> None:
    """The scene classification has pixels of 20 m."""
    pixels = numbers()
    product = write_product(tmp_path / "x.SAFE", pixels, offset=0)
    scl = np.full((1, 48, 64), 4, np.uint8)
    scl[0, 20, 30] = 8
    write_raster(product / "R20m" / "T33UUU_20230601T101601_SCL_20m.tif", scl, 20.0)
    mapped(tmp_path / "map", model, product)
    labels = read_map(tmp_path / "map", "city_lcz.tif")
    hidden = {(row, column) for row in range(10) for column in range(13) if _sees(row, 40) and _sees(column, 60)}
    assert {tuple(place) for place in np.argwhere(labels == 0)} == hidden
    mapped(tmp_path / "all", model, product, reading=Reading(cloud_classes="-"))
    assert (read_map(tmp_path / "all", "city_lcz.tif") > 0).all()


def test_seasons_are_voted_where_they_show_the_ground(
    engine: FakeEngine, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halves(patches: np.ndarray) -> np.ndarray:
        share = np.zeros((len(patches), 17), np.float32)
        share[:, 4] = patches[:, 0, 16, 16]
        share[:, 9] = 1 - share[:, 4]
        return share

    monkeypatch.setattr(engine, "probabilities", halves)
    planes = [np.full((len(BANDS), 64, 64), value, np.uint16) for value in (9000, 2000)]
    planes[1][:, 60:, 60:] = 0  # the second season lacks a corner
    scenes = [write_scene(tmp_path / f"{number}.tif", plane) for number, plane in enumerate(planes)]
    mapped(tmp_path / "map", model, *scenes)
    with rasterio.open(tmp_path / "map" / "city_probabilities.tif") as raster:
        found = raster.read() * raster.scales[0]
    np.testing.assert_allclose(found[[4, 9], 0, 0], (0.55, 0.45), atol=1e-6)
    np.testing.assert_allclose(found[[4, 9], -1, -1], (0.9, 0.1), atol=1e-6)


def test_the_files_say_what_they_hold(model: Path, tmp_path: Path) -> None:
    from rasterio.shutil import copy
    from rasterio.warp import transform

    scene = write_scene(tmp_path / "berlin.tif", numbers())
    about = mapped(tmp_path / "map", model, scene, outputs=Outputs(lonlat=True))
    assert about == json.loads((tmp_path / "map" / "map.json").read_text()) | {"warned": []}
    names = {file.name for file in (tmp_path / "map").iterdir()}
    assert names >= {*about["files"], about["picture"], "berlin_lcz.tif", "berlin_lcz_lonlat.tif"}
    assert not [name for name in names if "part" in name or "plain" in name]
    with rasterio.open(tmp_path / "map" / "berlin_lcz.tif") as raster:
        labels = raster.read(1)
        assert (raster.dtypes, raster.nodata, raster.descriptions) == (("uint8",), 0, ("lcz",))
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        colours = raster.colormap(1)
        for zone in CLASSES:
            assert "#{:02X}{:02X}{:02X}".format(*colours[zone.number][:3]) == zone.colour
        counts = {entry["number"]: entry["cells"] for entry in about["classes"]}
        assert counts == {number: int((labels == number).sum()) for number in range(1, 18)}
        copy(raster, tmp_path / "map.vrt", driver="VRT")
    text = (tmp_path / "map.vrt").read_text()  # GDAL writes there what it found of the names
    assert "<Category>Compact" not in text and "<Category>1 Compact high-rise</Category>" in text
    with rasterio.open(tmp_path / "map" / "berlin_probabilities.tif") as raster:
        found = raster.read() * np.array(raster.scales)[:, None, None]
        assert raster.descriptions[16] == "G Water"
    np.testing.assert_allclose(found.sum(0), 1, atol=17 * 5e-5)
    np.testing.assert_array_equal(1 + found.argmax(0), labels)
    with rasterio.open(tmp_path / "map" / "berlin_wudapt.tif") as raster:
        assert raster.descriptions == ("lcz", "lczFilter", "classProbability")
        planes = raster.read()
    np.testing.assert_array_equal(planes[0], labels)
    np.testing.assert_array_equal(planes[1], read_map(tmp_path / "map", "berlin_lcz_filtered.tif"))
    np.testing.assert_allclose(planes[2], 100 * found.max(0), atol=0.51)
    with rasterio.open(tmp_path / "map" / "berlin_lcz_lonlat.tif") as raster:
        assert raster.crs.to_epsg() == 4326
        (x,), (y,) = transform("EPSG:32633", "EPSG:4326", [LEFT + 650], [TOP - 450])
        assert raster.read(1)[raster.index(x, y)] == labels[4, 6]
    assert (
        'color="#8c0000" alpha="255" label="1 Compact high-rise"' in (tmp_path / "map" / "berlin_lcz.qml").read_text()
    )
    assert (tmp_path / "map" / "berlin.png").read_bytes().startswith(b"\x89PNG")


def test_classes_of_another_kind_have_their_own_names(tmp_path: Path) -> None:
    from rasterio.shutil import copy

    names = ["Forest & $wood$", *(f"class {number}" for number in range(2, 13))]
    model = write_model(tmp_path / "run", ("B04", "B03", "B02"), names, lcz=False)
    scene = write_scene(tmp_path / "scene.tif", numbers())
    about = mapped(tmp_path / "map", model, scene)
    assert about["files"] == ["city_classes.tif", "city_classes.qml", "city_probabilities.tif"]
    assert len({entry["name"] for entry in about["classes"]}) == 12
    with rasterio.open(tmp_path / "map" / "city_classes.tif") as raster:
        assert len({raster.colormap(1)[number] for number in range(1, 13)}) == 12
        copy(raster, tmp_path / "map.vrt", driver="VRT")
    assert "<Category>Forest &amp; $wood$</Category>" in (tmp_path / "map.vrt").read_text()


def test_by_the_command_line(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_scene(tmp_path / "scene.tif", numbers())
    words = ["map", str(model), str(scene), "--output", str(tmp_path / "map"), "--engine", "torch", "--threads", "1"]
    assert main([*words, "--min-valid", "0.5"]) == 0
    assert "13 x 10 cells" in capsys.readouterr().out
    mapped(tmp_path / "same", model, scene, outputs=Outputs(), config=MapConfig(min_valid=0.5))
    assert contents(tmp_path / "map") == contents(tmp_path / "same")
    assert main(words) == 2
    assert "holds a map already" in capsys.readouterr().err


def test_only_one_block_is_read_ahead() -> None:
    made: list[int] = []

    def items() -> Any:
        for number in range(9):
            made.append(number)
            yield number

    taken = []
    for number in local.ahead(items()):
        taken.append(number)
        assert len(made) <= number + 3
    assert taken == list(range(9))
