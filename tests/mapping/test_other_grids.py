"""References on other grids than the map's: in other systems, larger than the map, and real maps of W2W."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import EPSG, LEFT, TOP, numbers, write_raster, write_scene

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.data import open_source
from compactnas.mapping import reference
from compactnas.mapping.assess import assess
from compactnas.mapping.domain import cover

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
MAP = np.random.default_rng(0).integers(0, 18, (20, 24)).astype(np.uint8)


def confusion(mapped: np.ndarray, true: np.ndarray) -> np.ndarray:
    found = np.zeros((17, 17), np.int64)
    for m, t in zip(mapped.ravel().tolist(), true.ravel().tolist(), strict=True):
        if m and t:
            found[t - 1, m - 1] += 1
    return found


def by_loop(truth: np.ndarray, system: str, place: Any, parts: int) -> np.ndarray:
    """Most frequent class of `parts` x `parts` points of each cell, in the middles of its parts."""
    from pyproj import Transformer

    to = Transformer.from_crs(f"EPSG:{EPSG}", system, always_xy=True)
    true = np.zeros_like(MAP)
    for row, column in np.ndindex(MAP.shape):
        counts = np.zeros(18, int)
        for part in np.ndindex(parts, parts):
            down, along = ((at + (n + 0.5) / parts) * 100 for at, n in zip((row, column), part, strict=True))
            east, north = to.transform(LEFT + along, TOP - down)
            x, y = (east - place.c) / place.a, (north - place.f) / place.e
            inside = 0 <= x < truth.shape[1] and 0 <= y < truth.shape[0]
            counts[truth[int(y), int(x)] if inside else 0] += 1
        true[row, column] = counts.argmax()
    return true


@pytest.mark.parametrize(
    ("system", "size", "parts"),
    [("EPSG:4326", (0.00147, 0.0009), 1), ("EPSG:4326", (0.0004, 0.0003), 3), ("EPSG:32632", (50.0, 50.0), 2)],
)
def test_a_reference_in_another_system_is_read_on_the_grid_of_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, size: tuple[float, float], parts: int
) -> None:
    from pyproj import Transformer

    corner = Transformer.from_crs(f"EPSG:{EPSG}", system, always_xy=True).transform(LEFT + 300, TOP + 200)
    place = rasterio.Affine(size[0], 0, corner[0], 0, -size[1], corner[1])
    truth = np.random.default_rng(1).integers(0, 18, (70, 60)).astype(np.uint8)
    map_ = write_raster(tmp_path / "m.tif", MAP[None], 100.0, nodata=0)
    file = write_raster(tmp_path / "t.tif", truth[None], crs=system, transform=place, nodata=0)
    expected = confusion(MAP, by_loop(truth, system, place, parts))
    assert expected.sum() > 100
    for pixels in (reference.STRIP_PIXELS, 1):
        monkeypatch.setattr(reference, "STRIP_PIXELS", pixels)
        found = assess(map_, file, draws=0)
        np.testing.assert_array_equal(found.every.confusion, expected)
        assert found.covered is not None and 0 < found.covered < 1
        (note,) = found.notes
        assert f"is in {system}, the map in EPSG:{EPSG}; read on the map's grid, nearest neighbour" in note


def test_windows_of_a_reference_in_another_system_reach_beyond_the_map(tmp_path: Path) -> None:
    """All of it is of one class, so that every window is pure, at the edges too."""
    from pyproj import Transformer

    x, y = Transformer.from_crs(f"EPSG:{EPSG}", "EPSG:4326", always_xy=True).transform(LEFT, TOP)
    place = rasterio.Affine(0.0003, 0, x - 0.05, 0, -0.0003, y + 0.05)
    map_ = write_raster(tmp_path / "m.tif", np.full((1, 20, 24), 4, np.uint8), 100.0, nodata=0)
    truth = write_raster(tmp_path / "t.tif", np.full((1, 500, 500), 4, np.uint8), crs="EPSG:4326", transform=place)
    found = assess(map_, truth, purity=0.8, draws=0)
    assert found.pure is not None and found.pure.n == found.every.n == 480


def test_a_map_in_degrees_takes_a_reference_in_metres(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    map_ = write_raster(
        tmp_path / "m.tif",
        np.full((1, 9, 9), 4, np.uint8),
        crs="EPSG:4326",
        transform=rasterio.Affine(0.00135, 0, 13.31, 0, -0.00135, 52.51),
        nodata=0,
    )
    truth = write_raster(tmp_path / "t.tif", np.full((1, 200, 200), 4, np.uint8), 50.0, nodata=0)
    found = assess(map_, truth, draws=0)
    assert found.every.n == 81 and found.cell == "0.00135 degrees, about 91 m wide and 150 m high"
    assert main(["assess", str(map_), str(truth), "--draws", "0"]) == 0
    assert "cells of 0.00135 degrees, about 91 m wide and 150 m high" in " ".join(capsys.readouterr().out.split())


def test_a_turned_reference_is_read(tmp_path: Path) -> None:
    """Turned by a quarter: rows run east, columns run south."""
    map_ = write_raster(tmp_path / "m.tif", MAP[None], 100.0, nodata=0)
    turned = rasterio.Affine(0, 100, LEFT, -100, 0, TOP)
    truth = write_raster(tmp_path / "t.tif", MAP.T[None].copy(), transform=turned, nodata=0)
    assert assess(map_, truth, draws=0).every.measures.oa == 1


def test_the_band_of_a_reference_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    map_ = write_raster(tmp_path / "m.tif", MAP[None], 100.0, nodata=0)
    bands = np.stack([np.full_like(MAP, 3), MAP])
    truth = write_raster(tmp_path / "t.tif", bands, 100.0, descriptions=("lcz", "lczFilter"), nodata=0)
    assert assess(map_, truth, truth_band="lczFilter", draws=0).every.measures.oa == 1
    assert assess(map_, truth, draws=0).every.measures.oa < 0.2
    assert main(["assess", str(map_), str(truth), "--truth-band", "4"]) == 2
    assert "--truth-band 4: " in capsys.readouterr().err


@pytest.mark.parametrize("polygons", [False, True], ids=["raster", "polygons"])
def test_labels_outside_the_map_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str], polygons: bool) -> None:
    map_ = write_raster(tmp_path / "m.tif", np.full((1, 10, 10), 5, np.uint8), 100.0, nodata=0)
    truth = tmp_path / ("t.geojson" if polygons else "t.tif")
    if polygons:  # 4 columns on the map, 12 beyond; rows 2 and 3
        ring = [(LEFT + x, TOP - y) for x, y in ((600, 200), (2200, 200), (2200, 400), (600, 400), (600, 200))]
        feature = {"type": "Feature", "properties": {"lcz": 5}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        system = {"type": "name", "properties": {"name": f"EPSG:{EPSG}"}}
        truth.write_text(json.dumps({"type": "FeatureCollection", "crs": system, "features": [feature]}))
    else:
        labels = np.zeros((1, 10, 30), np.uint8)
        labels[0, 2:4, 6:22] = 5
        write_raster(truth, labels, 100.0, nodata=0)
    found = assess(map_, truth, draws=0)
    assert found.every.n == 8 and found.covered == 0.25
    assert main(["assess", str(map_), str(truth), "--draws", "0"]) == 0
    assert "the map covers 25 % of the labels of the reference; the others do not count" in capsys.readouterr().out


def test_a_domain_is_told_apart_from_a_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import h5py

    map_ = write_raster(tmp_path / "m.tif", MAP[None], 100.0, nodata=0)
    longitude, latitude = np.meshgrid(np.linspace(13.30, 13.32, 5), np.linspace(52.50, 52.51, 4))
    with h5py.File(tmp_path / "geo_em.d01.nc", "w") as file:
        file["XLONG_M"], file["XLAT_M"] = longitude[None], latitude[None]
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:4326", f"EPSG:{EPSG}", always_xy=True).transform(longitude, latitude)
    column, row = np.floor((x - LEFT) / 100).astype(int), np.floor((TOP - y) / 100).astype(int)
    inside = (column >= 0) & (column < 24) & (row >= 0) & (row < 20)
    classes = np.array([MAP[r, c] for r, c in zip(row[inside], column[inside], strict=True)])
    found = cover(map_, tmp_path / "geo_em.d01.nc")
    assert 0 < inside.mean() < 1 and not found.w2w
    assert (found.covered, found.classified) == (inside.mean(), (classes > 0).sum() / inside.size)
    words = ["assess", str(map_), str(tmp_path / "geo_em.d01.nc")]
    assert main([*words, "--json", "-o", str(tmp_path / "o.json")]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "o.json").read_text()) == found.to_json()
    for extra, said in (
        ("--purity 0.8", "--purity: needs a reference"),
        ("--draws 5", "--draws: needs a reference"),
        ("--seed 5", "--seed: needs a reference"),
        ("--window-m 50", "--window-m: needs a reference"),
        ("-o x.csv", "--output: x.csv is for a reference"),
    ):
        assert main([*words, *extra.split()]) == 2
        assert said in capsys.readouterr().err


@pytest.fixture(params=["lcz_zaragoza.tif", "Shanghai.tif"])
def real(request: pytest.FixtureRequest, shared: Path) -> Path:
    file: Path = shared / "data" / "w2w" / request.param
    if not file.is_file():
        pytest.skip(f"W2W's own sample: no {file}")
    return file


def test_a_real_map_is_itself_and_nine_tenths_of_a_changed_copy(tmp_path: Path, real: Path) -> None:
    """Codes 101 to 107 in float32 with -1, and LCZ in int32 with -999, in degrees."""
    same = assess(real, real, draws=0).every
    assert same.measures.oa == 1 and same.n > 800_000
    with rasterio.open(real) as raster:
        profile, values = raster.profile, raster.read(1)
    labelled = np.flatnonzero(values > 0)
    changed = np.random.default_rng(0).choice(labelled, len(labelled) // 10, replace=False)
    values.ravel()[changed] = np.where(values.ravel()[changed] == 2, 6, 2)
    with rasterio.open(tmp_path / "changed.tif", "w", **profile) as raster:
        raster.write(values, 1)
    found = assess(real, tmp_path / "changed.tif", draws=0).every
    assert found.n == same.n and found.measures.oa == 1 - len(changed) / same.n
    assert found.measures.oa == pytest.approx(0.9, abs=1e-6)


def test_a_real_map_labels_a_scene(tmp_path: Path, real: Path) -> None:
    """Every window holds, at its middle, the class of the map's cell there."""
    from pyproj import Transformer

    with rasterio.open(real) as raster:
        values, place, system = raster.read(1), raster.transform, raster.crs
    values = np.where(values > 100, values - 90, values)
    utm = "EPSG:32630" if system.to_epsg() == 4326 else "EPSG:32651"
    to = Transformer.from_crs(system.to_wkt(), utm, always_xy=True)
    middle = place.c + place.a * values.shape[1] / 2, place.f + place.e * values.shape[0] / 2
    east, north = (10 * round(at / 10) for at in to.transform(*middle))
    origin = rasterio.Affine(10, 0, east, 0, -10, north)
    scene = write_scene(tmp_path / "city.tif", numbers(200, 240), crs=utm, transform=origin)
    facts = open_source(DataConfig(str(scene), labels=str(real), window_px=16)).facts
    assert facts.keys is not None and facts.groups is not None
    expected = {}
    rows, columns = ((size // 2 - 40, size // 2 + 40) for size in values.shape)
    for row in range(*rows):
        for column in range(*columns):
            x, y = to.transform(place.c + place.a * (column + 0.5), place.f + place.e * (row + 0.5))
            at = int((north - y) // 10) - 8, int((x - east) // 10) - 8
            if values[row, column] > 0 and 0 <= at[0] <= 200 - 16 and 0 <= at[1] <= 240 - 16:
                expected[f"city.tif/{at[0]}/{at[1]}"] = int(values[row, column])
    found = {key: int(label) + 1 for key, label in zip(facts.keys, facts.labels, strict=True)}
    assert found == expected and len(found) > 200
    assert all(name.startswith("area ") for name in facts.groups.tolist()) and len(set(facts.groups.tolist())) > 1
