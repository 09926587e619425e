"""Scenes with labels and folders of GeoTIFFs: windows and patches hold the right pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import EPSG, LEFT, TOP, write_raster

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.data import Source, open_dataset, open_source
from compactnas.data.leakage import measure_leakage
from compactnas.data.packing.pack import prepare
from compactnas.errors import UserError
from compactnas.lcz import NAMES
from compactnas.scenes.files import opened

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
BANDS = ("B02", "B03", "B04")
NUMBERS = np.random.default_rng(0).integers(1, 9000, (3, 120, 150)).astype(np.uint16)


def scene(where: Path, name: str = "rome", **changes: Any) -> Path:
    return write_raster(where / f"{name}.tif", NUMBERS, descriptions=BANDS, scale=1e-4, **changes)


def lcz_map(where: Path, name: str = "rome") -> np.ndarray:
    """A map of 100 m: LCZ 1 to 17 and holes."""
    labels = np.random.default_rng(1).integers(0, 18, (12, 15)).astype(np.uint8)
    write_raster(where / f"{name}_lcz.tif", labels[None], 100.0, nodata=0)
    return labels


def check_windows(source: Source, labels: np.ndarray, side: int) -> None:
    """Each patch is the window around the middle of its label's 100 m pixel."""
    images, found = source.batch(np.arange(len(source.facts.labels)))
    assert source.facts.keys is not None and source.facts.footprints is not None
    seen = set()
    for image, label, key, bounds in zip(images, found, source.facts.keys, source.facts.footprints.bounds, strict=True):
        row, column = (int(word) for word in key.split("/")[1:])
        np.testing.assert_allclose(image, NUMBERS[:, row : row + side, column : column + side] / 1e4, rtol=1e-6)
        middle_row, middle_column = row + side // 2, column + side // 2
        assert label == labels[middle_row // 10, middle_column // 10] - 1
        assert bounds.tolist() == [
            LEFT + column * 10,
            TOP - (row + side) * 10,
            LEFT + (column + side) * 10,
            TOP - row * 10,
        ]
        seen.add((middle_row // 10, middle_column // 10))
    inside = {
        (r, c)
        for r, c in zip(*np.nonzero(labels), strict=True)
        if side // 2 <= r * 10 + 5 <= 120 - side // 2 and side // 2 <= c * 10 + 5 <= 150 - side // 2
    }
    assert seen == inside


def check_refused(config: DataConfig, message: str) -> None:
    """Opening it is one line that holds the message."""
    with pytest.raises(UserError) as caught:
        open_source(config)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_windows_stand_on_the_labels_of_a_raster(tmp_path: Path) -> None:
    path = scene(tmp_path)
    labels = lcz_map(tmp_path)
    source = open_source(DataConfig(str(path), preload_gib=0.0, window_px=16))
    assert source.facts.bands == BANDS and source.facts.classes == NAMES and source.facts.lcz
    check_windows(source, labels, 16)
    both = open_source(DataConfig(str(path), window_px=16, bands=("B04", "B02"), downsample=2))
    assert both.facts.patch_px == 8 and both.facts.bands == ("B04", "B02")


def test_a_folder_of_scenes_is_grouped_by_city(tmp_path: Path) -> None:
    for name in ("rome", "oslo"):
        scene(tmp_path / "scenes", name)
        lcz_map(tmp_path / "scenes", name)
    facts = open_source(DataConfig(str(tmp_path / "scenes"), window_px=16)).facts
    assert facts.groups is not None
    assert sorted(set(facts.groups)) == ["oslo", "rome"]
    packed = prepare(DataConfig(str(tmp_path / "scenes"), window_px=16), tmp_path / "packed")
    again = open_dataset(DataConfig(str(packed), split="fold", folds=0))
    assert again.source.facts.footprints is not None and len(again.parts["train"]) == len(again.parts["test"])


def feature(ring: list[tuple[float, float]], **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def in_metres(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    """A ring of pixels of the scene, in its own coordinates."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return [(LEFT + x * 10, TOP - y * 10) for x, y in corners]


def geojson(path: Path, *features: object, system: str = f"EPSG:{EPSG}") -> Path:
    content = {"type": "FeatureCollection", "features": list(features)}
    if system:
        content["crs"] = {"type": "name", "properties": {"name": system}}
    path.write_text(json.dumps(content))
    return path


def test_windows_stand_in_polygons_and_are_grouped_by_them(tmp_path: Path) -> None:
    path = scene(tmp_path)
    large, small = in_metres(20, 20, 70, 60), in_metres(101, 91, 104, 94)  # the small one lies between grid points
    geojson(tmp_path / "rome.geojson", feature(large, lcz=2), feature(small, Class="G"))
    source = open_source(DataConfig(str(path), window_px=16))
    facts = source.facts
    assert facts.groups is not None and facts.keys is not None
    assert np.bincount(facts.labels).tolist() == [0, 20] + [0] * 14 + [1]
    assert sorted(set(facts.groups)) == ["polygon 1", "polygon 2"]
    for key, label in zip(facts.keys, facts.labels, strict=True):
        row, column = (int(word) + 8 for word in key.split("/")[1:])
        left, top, right, bottom = (20, 20, 70, 60) if label == 1 else (101, 91, 104, 94)
        assert left <= column <= right and top <= row <= bottom


def test_polygons_in_longitude_and_latitude_lie_where_they_should(tmp_path: Path) -> None:
    from rasterio.warp import transform

    path = scene(tmp_path)
    ring = in_metres(20, 20, 70, 60)
    longitude, latitude = transform(f"EPSG:{EPSG}", "EPSG:4326", *zip(*ring, strict=True))
    geojson(tmp_path / "a.geojson", feature(ring, lcz=2))
    geojson(tmp_path / "b.geojson", feature(list(zip(longitude, latitude, strict=True)), lcz=2), system="")
    keys = [
        open_source(DataConfig(str(path), window_px=16, labels=str(tmp_path / f"{name}.geojson"))).facts.keys
        for name in "ab"
    ]
    assert keys[0] == keys[1]


def test_windows_over_no_data_are_left_out(tmp_path: Path) -> None:
    holed = NUMBERS.copy()
    holed[:, 60:70, 80:90] = 0
    path = write_raster(tmp_path / "rome.tif", holed, nodata=0, descriptions=BANDS)
    lcz_map(tmp_path)
    source = open_source(DataConfig(str(path), window_px=16))
    images, _ = source.batch(np.arange(len(source.facts.labels)))
    assert (images > 0).all()
    write_raster(tmp_path / "rome.tif", NUMBERS, nodata=0, descriptions=BANDS)
    assert len(open_source(DataConfig(str(path), window_px=16)).facts.labels) > len(images)


def bad_labels(where: Path, value: int) -> None:
    write_raster(where / "rome_lcz.tif", np.full((1, 12, 15), value, np.uint8), 100.0, nodata=0)


def raw(where: Path, text: str) -> None:
    (where / "rome.geojson").write_text(text)


SQUARE = in_metres(20, 20, 70, 60)
WRONG = {
    "no labels": (lambda where: None, "no labels found; put rome_lcz.tif or rome.geojson (or"),
    "no LCZ": (lambda where: bad_labels(where, 99), "rome_lcz.tif: holds 99; labels are LCZ numbers"),
    "no label at all": (lambda where: bad_labels(where, 0), "its labels are all 0 or no data; give labels 1 to 17"),
    "another system": (
        lambda where: write_raster(where / "rome_lcz.tif", np.ones((1, 9, 9), np.uint8), crs="EPSG:32632"),
        "the labels do not meet the scene; check their place and their coordinate system",
    ),
    "labels are text": (lambda where: (where / "rome_lcz.tif").write_text("x"), "cannot be read as a GeoTIFF"),
    "not JSON": (lambda where: raw(where, "{"), "rome.geojson: is not GeoJSON"),
    "deep JSON": (lambda where: raw(where, "[" * 100_000), "rome.geojson: is not GeoJSON"),
    "no features": (lambda where: raw(where, "{}"), "has no list of features"),
    "no polygon": (lambda where: geojson(where / "rome.geojson"), "has no polygon"),
    "a point": (
        lambda where: geojson(where / "rome.geojson", {"geometry": {"type": "Point", "coordinates": [0, 0]}}),
        "has no polygon (1 feature with points or lines only left out)",
    ),
    "no class": (
        lambda where: geojson(where / "rome.geojson", feature(SQUARE)),
        "no field is named lcz or class; its fields are none",
    ),
    "class 18": (
        lambda where: geojson(where / "rome.geojson", feature(SQUARE, lcz=18)),
        "feature 1: the field lcz holds '18'",
    ),
    "broken ring": (
        lambda where: geojson(where / "rome.geojson", feature([("a", 1)], lcz=1)),
        "feature 1: has coordinates that cannot be read",
    ),
    "an unknown system": (
        lambda where: geojson(where / "rome.geojson", feature(SQUARE, lcz=1), system="EPSG:999999"),
        "rome.geojson: has an unknown coordinate system (",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_labels_are_one_error(tmp_path: Path, name: str) -> None:
    make, message = WRONG[name]
    path = scene(tmp_path)
    make(tmp_path)
    check_refused(DataConfig(str(path), window_px=16), message)


def test_scenes_of_different_bands_and_missing_labels_are_errors(tmp_path: Path) -> None:
    for name in ("rome", "oslo"):
        scene(tmp_path / "s", name)
        lcz_map(tmp_path / "s", name)
    with pytest.raises(UserError, match=r"data\.labels: x\.tif does not exist"):
        open_source(DataConfig(str(tmp_path / "s"), labels="x.tif"))
    write_raster(tmp_path / "s" / "rome.tif", NUMBERS[:2], descriptions=BANDS[:2])
    with pytest.raises(UserError, match=r"has bands B02, B03, but oslo\.tif has B02, B03, B04"):
        open_source(DataConfig(str(tmp_path / "s")))
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 1, 8, 8)), labels=np.arange(4) % 2)
    with pytest.raises(UserError, match=r"data.labels: 'x.tif' is an option of the format `scenes`"):
        open_source(DataConfig(str(tmp_path / "a.npz"), labels="x.tif"))


def class_folder(where: Path, **changes: Any) -> Path:
    """Six GeoTIFF patches of two classes, side by side, the first two overlapping the fourth by half."""
    root = where / "tifs"
    for number in range(6):
        origin = rasterio.Affine(10, 0, LEFT + number * 80.0, 0, -10, TOP)
        pixels = NUMBERS[:, :16, number * 8 : number * 8 + 16]
        name = root / ("sea", "town")[number % 2] / f"{number}.tif"
        write_raster(name, pixels, **{"transform": origin, "descriptions": BANDS} | changes)
    return root


def test_a_folder_of_geotiffs_is_read_with_its_places(tmp_path: Path) -> None:
    source = open_source(DataConfig(str(class_folder(tmp_path))))
    assert source.facts.bands == BANDS and source.facts.classes == ("sea", "town")
    images, labels = source.batch(np.arange(6))
    assert images.dtype == np.float32 and labels.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(images[1], NUMBERS[:, :16, 16:32] / 10_000, rtol=1e-6)  # sea/2.tif
    assert any("taken as reflectance x 10,000" in note for note in source.facts.notes)
    found = measure_leakage(source, np.arange(3), np.arange(3, 6))
    assert found.method == "places" and found.share.tolist() == [0.5, 0.5, 0.5]


def test_thirteen_bands_without_names_are_eurosats(tmp_path: Path) -> None:
    write_raster(tmp_path / "t" / "a" / "1.tif", np.zeros((13, 8, 8), np.uint16))
    assert open_source(DataConfig(str(tmp_path / "t"))).facts.bands[-3:] == ("B11", "B12", "B8A")


WRONG_FILES = {
    "of two kinds": (lambda f: (f / "sea" / "x.png").write_bytes(b""), "is of another kind than 0.tif"),
    "cut short": (lambda f: (f / "sea" / "2.tif").write_bytes((f / "sea" / "2.tif").read_bytes()[:300]), "2.tif: "),
    "text": (lambda f: (f / "sea" / "0.tif").write_text("x"), "0.tif: cannot be read as a GeoTIFF"),
    "a VRT in disguise": (
        lambda f: (f / "sea" / "0.tif").write_text("<VRTDataset rasterXSize='8' rasterYSize='8'></VRTDataset>"),
        "0.tif: cannot be read as a GeoTIFF",
    ),
    "another size": (lambda f: write_raster(f / "sea" / "2.tif", NUMBERS[:, :8, :8]), "the first file (3, 16, 16)"),
    "not square": (lambda f: write_raster(f / "sea" / "0.tif", NUMBERS[:, :8, :16]), "patches must be square"),
    "huge": (
        lambda f: write_raster(f / "sea" / "0.tif", np.zeros((1, 1200, 1200), np.uint8)),
        "is too large for a patch",
    ),
    "complex": (
        lambda f: write_raster(f / "sea" / "0.tif", np.zeros((1, 8, 8), np.complex64)),
        "dtypes complex64; convert them to one integer or float type",
    ),
    "NaN": (
        lambda f: [write_raster(f / "sea" / f"{i}.tif", np.full((3, 16, 16), np.nan, np.float32)) for i in (0, 2, 4)],
        "holds NaN or infinite pixels",
    ),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_broken_geotiffs_are_one_error(tmp_path: Path, name: str) -> None:
    damage, message = WRONG_FILES[name]
    root = class_folder(tmp_path)
    damage(root)
    check_refused(DataConfig(str(root)), message)


def test_inspect_and_leakage_take_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scene(tmp_path)
    lcz_map(tmp_path)
    options = ["--data.window_px", "16"]
    assert main(["inspect", str(path), "--mosaic", str(tmp_path / "m.png"), *options]) == 0
    assert main(["leakage", str(path), "--data.split", "random", *options]) == 0
    assert "test patches overlap one of" in capsys.readouterr().out


def test_a_message_that_is_no_text_is_no_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """GDAL quotes the bytes of a damaged tag, which rasterio's logger takes for UTF-8."""
    file = write_raster(tmp_path / "rome.tif", NUMBERS[:, :8, :8], descriptions=BANDS)
    file.write_bytes(file.read_bytes().replace(b"</GDALMetadata>", b"</GDALMetadata\xff"))
    with opened(file) as raster:
        assert raster.count == len(BANDS) and raster.descriptions[0] is None
    assert capfd.readouterr() == ("", "")


def test_labels_of_a_raster_are_grouped_by_area_and_split_by_it(tmp_path: Path) -> None:
    path = scene(tmp_path)
    labels = np.zeros((12, 15), np.uint8)
    labels[1:5, 1:6], labels[1:5, 7:13], labels[6:11, 2:13] = 2, 2, 6
    labels[9:11, 13:14] = 3
    labels[5, 6] = 2  # touches the first area at a corner, and the second one too
    write_raster(tmp_path / "rome_lcz.tif", labels[None], 100.0, nodata=0)
    facts = open_source(DataConfig(str(path), window_px=16)).facts
    assert facts.groups is not None
    assert dict(zip(*np.unique(facts.groups, return_counts=True), strict=True)) == {
        "area 1/1": 45,
        "area 6/2": 55,
        "area 9/13": 2,
    }
    labels[5, 6] = 0
    write_raster(tmp_path / "rome_lcz.tif", labels[None], 100.0, nodata=0)
    data = open_dataset(DataConfig(str(path), window_px=16, split="group", test_groups=("area 1/7", "area 6/2")))
    groups = data.source.facts.groups
    assert groups is not None and set(groups[data.parts["train"]].tolist()) == {"area 1/1", "area 9/13"}


def test_inspect_shows_what_was_assumed_of_a_raster_of_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scene(tmp_path)
    labels = np.full((1, 12, 15), 105, np.int16)
    labels[0, :3] = -999
    write_raster(tmp_path / "rome_lcz.tif", labels, 100.0)
    assert main(["inspect", str(path), "--json", "--data.window_px", "16"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["classes"][NAMES[14]] > 0 and list(seen["groups"]) == ["area 3/0"]
    for note in ("codes 101 to 107 are read as LCZ A to G", "45 pixels hold -999, which the file does not declare"):
        assert any(note in warning for warning in seen["warnings"]), seen["warnings"]
