"""Maps against references: every cell counted as a loop would, intervals that hold, and one line for what is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compactnas.cli import main
from compactnas.errors import UserError
from compactnas.evaluation.metrics import confusion_measures
from compactnas.mapping import reference
from compactnas.mapping.assess import Assessment, assess

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
EPSG, LEFT, TOP, CELL = 32633, 500_000.0, 5_800_000.0, 100.0


def write(path: Path, *bands: np.ndarray, side: float = CELL, at: tuple[float, float] = (0, 0), **changes: Any) -> Path:
    """A GeoTIFF whose corner is `at` metres to the east and to the south of LEFT, TOP."""
    names = changes.pop("names", (None,) * len(bands))
    profile = {
        "driver": "GTiff",
        "count": len(bands),
        "height": bands[0].shape[0],
        "width": bands[0].shape[1],
        "dtype": bands[0].dtype,
        "crs": f"EPSG:{EPSG}",
        "nodata": 0,
        "transform": rasterio.Affine(side, 0, LEFT + at[0], 0, -side, TOP - at[1]),
    }
    with rasterio.open(path, "w", **profile | changes) as file:
        file.write(np.stack(bands))
        file.descriptions = names
    return path


def polygons(path: Path, *boxes: tuple[object, float, float, float, float]) -> Path:
    """GeoJSON of (LCZ, left, top, right, bottom), in metres from LEFT, TOP."""
    features = []
    for lcz, left, top, right, bottom in boxes:
        ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        geometry = {"type": "Polygon", "coordinates": [[(LEFT + x, TOP - y) for x, y in ring]]}
        features.append({"type": "Feature", "properties": {"lcz": lcz}, "geometry": geometry})
    system = {"type": "name", "properties": {"name": f"EPSG:{EPSG}"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": system, "features": features}))
    return path


def labels(*shape: int, low: int = 1, high: int = 17, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape, np.uint8, endpoint=True)


def confusion_by_loop(mapped: np.ndarray, true: np.ndarray) -> np.ndarray:
    confusion = np.zeros((17, 17), np.int64)
    for t, m in zip(true.ravel(), mapped.ravel(), strict=True):
        if t and m:
            confusion[t - 1, m - 1] += 1
    return confusion


def by_loop(
    mapped: np.ndarray,
    truth: np.ndarray,
    side: float,
    at: tuple[float, float],
    window: float = 0.0,
    purity: float = 0.0,
) -> np.ndarray:
    """The class of most pixels whose middles lie in each cell, or in a window around it if it fills it."""
    true = np.zeros_like(mapped)
    y, x = (at[1] + (np.arange(truth.shape[0]) + 0.5) * side, at[0] + (np.arange(truth.shape[1]) + 0.5) * side)
    for row, column in np.ndindex(mapped.shape):
        middle, half = ((row + 0.5) * CELL, (column + 0.5) * CELL), (window or CELL) / 2
        inside = truth[np.ix_(abs(y - middle[0]) < half, abs(x - middle[1]) < half)]
        if not window and not inside.size:
            inside = truth[np.ix_(abs(y - middle[0]) < side / 2, abs(x - middle[1]) < side / 2)]
        counts = np.bincount(inside.ravel(), minlength=18)
        if not window:
            true[row, column] = counts.argmax()
        elif counts[1:].max() >= purity * (window / side) ** 2:
            true[row, column] = 1 + counts[1:].argmax()
    return true


@pytest.mark.parametrize(
    ("side", "at", "size"),
    [
        (10.0, (0.0, 0.0), 90),
        (20.0, (-135.0, 75.0), 60),
        (100.0, (0.0, 0.0), 9),
        (100.0, (30.0, -40.0), 9),
        (270.0, (-25.0, -10.0), 4),
    ],
    ids=["finer", "finer and beside", "the same", "shifted", "coarser"],
)
def test_a_cell_takes_the_class_of_most_of_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: float, at: tuple[float, float], size: int
) -> None:
    mapped, truth = labels(9, 8, low=0), labels(size, size, low=0, high=3, seed=1)
    files = write(tmp_path / "map.tif", mapped), write(tmp_path / "truth.tif", truth, side=side, at=at)
    expected = confusion_by_loop(mapped, by_loop(mapped, truth, side, at))
    found = assess(*files, draws=0)
    np.testing.assert_array_equal(found.every.confusion, expected)
    assert found.every.measures == confusion_measures(expected, lcz=True)
    assert found.every.intervals == {}
    monkeypatch.setattr(reference, "STRIP_PIXELS", 1)  # a row of cells at a time
    np.testing.assert_array_equal(assess(*files, draws=0).every.confusion, expected)


def test_windows_of_one_class_are_measured_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patches = np.kron(labels(3, 3, low=0, high=6, seed=2), np.ones((45, 45), np.uint8))
    truth = np.where(np.random.default_rng(3).random(patches.shape) < 0.1, 9, patches).astype(np.uint8)
    mapped = labels(14, 14, seed=4)
    files = write(tmp_path / "map.tif", mapped), write(tmp_path / "truth.tif", truth, side=10.0)
    expected = confusion_by_loop(mapped, by_loop(mapped, truth, 10.0, (0, 0), 320.0, 0.8))
    assert 0 < expected.sum() < 150
    for pixels in (reference.STRIP_PIXELS, 1):
        monkeypatch.setattr(reference, "STRIP_PIXELS", pixels)
        pure = assess(*files, purity=0.8, draws=0).pure
        assert pure is not None
        np.testing.assert_array_equal(pure.confusion, expected)
    assert assess(*files, purity=1.0).pure is None


def test_share_tells_how_mixed_the_cells_are(tmp_path: Path) -> None:
    truth = np.full((20, 20), 3, np.uint8)
    truth[:10, :4] = 5
    found = assess(write(tmp_path / "m.tif", labels(2, 2)), write(tmp_path / "t.tif", truth, side=10.0), draws=0)
    assert found.share == pytest.approx((0.6 + 3) / 4)


def test_cells_in_polygons_are_counted_and_the_later_one_wins(tmp_path: Path) -> None:
    mapped = labels(6, 6)
    true = np.zeros((6, 6), np.uint8)
    true[0:3, 0:3], true[2:5, 2:4] = 2, 17
    boxes = (2, 0, 0, 300, 300), ("G", 210, 210, 390, 490)
    files = write(tmp_path / "map.tif", mapped), polygons(tmp_path / "truth.geojson", *boxes)
    found = assess(*files)
    np.testing.assert_array_equal(found.every.confusion, confusion_by_loop(mapped, true))
    assert (found.unit, found.every.units, found.share) == ("polygon", 2, None)


def test_what_is_not_mapped_is_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapped = labels(5, 5)
    mapped[0] = 0
    files = write(tmp_path / "map.tif", mapped), write(tmp_path / "truth.tif", labels(5, 5, seed=1))
    assert (found := assess(*files)).unmapped == 5 and found.every.n == 20
    assert main(["assess", *map(str, files)]) == 0
    assert "5 cells with a label have no class in the map and are left out" in capsys.readouterr().out


def test_a_band_is_chosen_by_number_or_name(tmp_path: Path) -> None:
    first, second = labels(5, 5), labels(5, 5, seed=1)
    map_ = write(tmp_path / "map.tif", first, second, names=("lcz", "lczFilter"))
    truth = write(tmp_path / "truth.tif", second)
    assert [assess(map_, truth, band=band, draws=0).every.measures.oa == 1 for band in ("", "1", "2", "lczFilter")] == [
        False,
        False,
        True,
        True,
    ]


def made(where: Path, draws: int = 400) -> Assessment:
    """A map of 30 x 30 cells that is right in 7 of 10."""
    truth = np.kron(labels(6, 6, seed=5), np.ones((5, 5), np.uint8))
    mapped = np.where(np.random.default_rng(6).random(truth.shape) < 0.7, truth, labels(30, 30, seed=7))
    return assess(write(where / "m.tif", mapped.astype(np.uint8)), write(where / "t.tif", truth), draws=draws)


def test_intervals_hold_the_measure_and_are_those_of_their_seed(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert (found.unit, found.every.units) == ("block of 10 x 10 cells", 9)
    for name in ("oa", "kappa", "oa_weighted", "oa_urban", "oa_built_natural"):
        low, high = found.every.intervals[name]
        assert low < getattr(found.every.measures, name) < high
        assert high - low < 0.2
    assert made(tmp_path).to_json() == found.to_json()


def test_intervals_are_those_of_drawing_units_by_hand(tmp_path: Path) -> None:
    """Two polygons, one all right and one all wrong: OA is 0, 1/2 or 1, by 1/4, 1/2 and 1/4."""
    mapped = np.full((2, 4), 2, np.uint8)
    files = write(tmp_path / "m.tif", mapped), polygons(tmp_path / "t.json", (2, 0, 0, 200, 200), (5, 200, 0, 400, 200))
    found = assess(*files, draws=200)
    assert found.every.measures.oa == 0.5
    assert found.every.intervals["oa"] == (0.0, 1.0)
    assert found.every.intervals["f1_5"] == (0.0, 0.0) and "f1_7" not in found.every.intervals
    alone = polygons(tmp_path / "one.json", (2, 0, 0, 200, 200))
    assert assess(files[0], alone).every.intervals == {}


def test_what_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = made(tmp_path, draws=1000)
    words = ["assess", found.map, found.truth]
    assert main([*words, "--output", str(tmp_path / "o.json")]) == 0
    text = capsys.readouterr().out
    for word in (
        "900",
        f"{100 * found.every.measures.oa:.1f}",
        f"{found.every.measures.kappa:.3f}",
        "Compact high-rise",
    ):
        assert word in text
    assert json.loads((tmp_path / "o.json").read_text()) == json.loads(json.dumps(found.to_json()))
    assert main([*words, "--json", "--output", str(tmp_path / "o.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["every"]["n"] == 900
    with (tmp_path / "o.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["true", *map(str, range(1, 18))]
    np.testing.assert_array_equal(np.array([row[1:] for row in rows[1:]], int), found.every.confusion)


def test_natural_classes_are_printed_by_their_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    water, trees = np.full((4, 4), 17, np.uint8), np.full((4, 4), 11, np.uint8)
    assert main(["assess", str(write(tmp_path / "map.tif", water)), str(write(tmp_path / "truth.tif", trees))]) == 0
    *_, head, of_trees, of_water = capsys.readouterr().out.splitlines()
    assert [line.split() for line in (head, of_trees, of_water)] == [
        ["true", "A", "G"],
        ["A", ".", "16"],
        ["G", ".", "."],
    ]


MAP, TRUTH = labels(4, 4), labels(4, 4, seed=1)
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "another system": (
        {"truth": {"crs": "EPSG:32632"}},
        "",
        "m.tif (it is in EPSG:32632, the map in EPSG:32633); give a reference of the same place",
    ),
    "another place": ({"truth": {"at": (5000, 0)}}, "", "t.tif: does not overlap"),
    "no label": ({"truth": {"pixels": TRUTH * 0}}, "", "t.tif: has no label on a cell of"),
    "an empty map": ({"map": {"pixels": MAP * 0}}, "", "m.tif: has no class in the 16 cells that"),
    "class 18": ({"truth": {"pixels": TRUTH + 17}}, "", "t.tif: holds "),
    "a map of 99": (
        {"map": {"pixels": MAP * 0 + 99}},
        "",
        "m.tif: holds 99; labels are LCZ numbers 1 to 17",
    ),
    "parts of a class": ({"map": {"pixels": MAP + np.float32(0.5)}}, "", "m.tif: holds "),
    "undeclared": ({"map": {"pixels": MAP * 0, "nodata": None}}, "", "m.tif: holds 0, which it does not declare"),
    "declared as another": ({"map": {"pixels": MAP * 0, "nodata": 255}}, "", "m.tif: holds 0, which it does not"),
    "turned": (
        {"map": {"transform": rasterio.Affine(70, 70, LEFT, 70, -70, TOP)}},
        "",
        "m.tif: is turned or has no place on the ground",
    ),
    "no such band": ({}, "--band lczFilter", "--band lczFilter: "),
    "no map": ({}, "gone", "does not exist"),
    "degrees": (
        {name: {"crs": "EPSG:4326", "transform": rasterio.Affine(0.1, 0, 9, 0, -0.1, 48)} for name in ("map", "truth")},
        "--purity 0.8",
        "m.tif is in degrees, windows are in metres",
    ),
    "half pure": ({}, "--purity 0.5", "--purity: 0.5 is not above 0.5"),
    "less than none": ({}, "--draws -1", "--draws: -1 is negative; give the number of draws"),
    "a window of no size": ({}, "--purity 0.8 --window-m 0", "--window-m: 0 is not between 0 and 1,000,000 m"),
    "a table of words": ({}, "--output x.xls", "--output: x.xls does not end in .json, .csv or .html"),
    "polygons of one class": ({"polygons": [(2, 0, 0, 200, 200)]}, "--purity 0.8", "--purity: needs a raster"),
    "polygons of no LCZ": (
        {"polygons": [("town", 0, 0, 200, 200)]},
        "",
        "feature 1: the field lcz holds 'town', which is no LCZ",
    ),
    "polygons elsewhere": ({"polygons": [(2, 900, 900, 990, 990)]}, "", "t.json: has no label on a cell of"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    files, words, said = WRONG[name]
    map_, truth = ({"pixels": made_} | files.get(kind, {}) for kind, made_ in (("map", MAP), ("truth", TRUTH)))
    paths = [
        write(tmp_path / "m.tif", map_.pop("pixels"), **map_),
        write(tmp_path / "t.tif", truth.pop("pixels"), **truth),
    ]
    if "polygons" in files:
        paths[1] = polygons(tmp_path / "t.json", *files["polygons"])
    if words == "gone":
        paths[0].unlink()
        words = ""
    assert main(["assess", *map(str, paths), *words.split()]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0], lines


def test_a_polygon_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.geojson").write_text("{")
    with pytest.raises(UserError, match=r"t\.geojson: is not GeoJSON"):
        assess(write(tmp_path / "m.tif", MAP), tmp_path / "t.geojson")
