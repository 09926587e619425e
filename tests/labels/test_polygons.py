"""Polygons from vector files: names, repairs, places, overlaps, and groups over several dates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import EPSG, LEFT, TOP, numbers, write_scene
from support.polygons import SQUARES, Square, degrees, expected, feature, ring_of, write_geojson, write_polygons

from compactnas.config import DataConfig
from compactnas.data import open_dataset, open_source
from compactnas.data.inspection import look
from compactnas.errors import UserError
from compactnas.labels.finding import labels_beside

rasterio = pytest.importorskip("rasterio", reason="labels need the map extra")
shapely = pytest.importorskip("shapely", reason="labels need the map extra")
pytest.importorskip("pyogrio", reason="labels need the map extra")

BOUNDS = (LEFT, TOP - 960.0, LEFT + 1280.0, TOP)
RINGS = [degrees(ring_of(square)) for square in SQUARES]


def read(file: Path, **options: Any) -> Any:
    from compactnas.labels.polygons import read_polygons

    return read_polygons(file, rasterio.crs.CRS.from_epsg(EPSG), BOUNDS, **options)


def test_polygons_arrive_where_they_were_drawn(tmp_path: Path) -> None:
    polygons = read(write_polygons(tmp_path / "p.gpkg", RINGS, {"lcz": [2, 14, 17]}))
    assert [polygon.label for polygon in polygons.each] == [1, 13, 16] and polygons.lcz and not polygons.notes
    for polygon, square in zip(polygons.each, SQUARES, strict=True):
        drawn = shapely.Polygon(ring_of(square))
        assert polygon.geometry.symmetric_difference(drawn).area < 1e-3  # square metres


def test_a_polygon_keeps_its_name_when_another_is_deleted(tmp_path: Path) -> None:
    each = [feature(ring, lcz=2, Polygon_ID=f"p{number}") for number, ring in enumerate(RINGS)]
    names = [polygon.name for polygon in read(write_geojson(tmp_path / "a.geojson", *each)).each]
    assert names == ["polygon p0", "polygon p1", "polygon p2"]
    left = read(write_geojson(tmp_path / "b.geojson", *each[1:])).each
    assert [polygon.name for polygon in left] == names[1:]
    without = read(
        write_geojson(tmp_path / "c.geojson", feature(None, lcz=1), *[feature(r, id=1, lcz=1) for r in RINGS])
    )
    assert [polygon.name for polygon in without.each] == ["polygon 2", "polygon 3", "polygon 4"]  # ids that are all 1


REPAIRED = {
    "parts that overlap": [shapely.box(0, 0, 10, 10), shapely.box(5, 0, 15, 10)],
    "parts that touch": [shapely.box(0, 0, 10, 10), shapely.box(10, 0, 15, 10)],
}


@pytest.mark.parametrize("name", REPAIRED)
def test_parts_are_one_area(name: str, tmp_path: Path) -> None:
    """GDAL would leave a hole where two parts of one polygon overlap."""
    parts = [shapely.affinity.translate(part, LEFT, TOP - 100) for part in REPAIRED[name]]
    geometry = {
        "type": "MultiPolygon",
        "coordinates": [shapely.geometry.mapping(part)["coordinates"] for part in parts],
    }
    file = write_geojson(tmp_path / "p.geojson", {"properties": {"lcz": 1}, "geometry": geometry}, crs=named())
    (polygon,) = read(file).each
    assert polygon.geometry.area == pytest.approx(150) and polygon.geometry.is_valid


def named() -> dict[str, Any]:
    return {"type": "name", "properties": {"name": f"EPSG:{EPSG}"}}


def test_a_hole_outside_is_no_guess(tmp_path: Path) -> None:
    rings = [ring_of(SQUARES[0]), ring_of(SQUARES[1])]
    geometry = {"type": "Polygon", "coordinates": [[list(point) for point in ring] for ring in rings]}
    file = write_geojson(tmp_path / "p.geojson", {"properties": {"lcz": 1}, "geometry": geometry}, crs=named())
    with pytest.raises(UserError, match=r"feature 1: its polygon has a fault, hole lies outside shell at .*; draw it"):
        read(file)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_that_are_no_numbers_are_an_error(value: float, tmp_path: Path) -> None:
    ring = [(value, y) if number == 2 else (x, y) for number, (x, y) in enumerate(RINGS[1])]
    with np.errstate(invalid="ignore"):
        file = write_polygons(tmp_path / "p.gpkg", [RINGS[0], ring], {"lcz": [1, 2]})
    with pytest.raises(UserError, match=r"p\.gpkg, feature 2: its polygon has a coordinate that is not a number"):
        read(file)


def test_only_swapped_polygons_are_swapped(tmp_path: Path) -> None:
    """Polygons of another place stay where they are, even if some latitude is a longitude of the scene."""
    away = [[(x + 1, y) for x, y in ring] for ring in RINGS]
    polygons = read(write_polygons(tmp_path / "a.geojson", away, {"lcz": [1, 2, 3]}))
    assert not polygons.notes
    turned = [[(y, x) for x, y in ring] for ring in RINGS]
    polygons = read(write_geojson(tmp_path / "b.geojson", *[feature(ring, lcz=1) for ring in [*turned, *away]]))
    assert not polygons.notes  # half of them would fit, which is no proof
    polygons = read(write_geojson(tmp_path / "c.geojson", *[feature(ring, lcz=1) for ring in [*turned, away[0]]]))
    assert "(3 of 4)" in polygons.notes[0]


def test_polygons_of_the_whole_world_do_not_disturb(tmp_path: Path) -> None:
    from rasterio.crs import CRS

    from compactnas.labels.polygons import read_polygons

    far = [(-150.0, -89.0), (-149.0, -89.0), (-149.0, -88.0), (-150.0, -88.0), (-150.0, -89.0)]
    file = write_polygons(tmp_path / "p.gpkg", [far, *RINGS], {"lcz": [1, 2, 14, 17]})
    found = read_polygons(file, CRS.from_epsg(3857), None)  # Web Mercator ends before the poles
    assert [polygon.label for polygon in found.each][-3:] == [1, 13, 16]
    gnomonic = CRS.from_proj4("+proj=gnom +lat_0=52 +lon_0=13")  # shows half of the earth
    found = read_polygons(file, gnomonic, None)
    assert [polygon.name for polygon in found.each] == ["polygon 2", "polygon 3", "polygon 4"]
    assert any("1 polygon left out, on another side of the earth" in note for note in found.notes)


def test_a_latitude_of_more_than_90_degrees_is_an_error(tmp_path: Path) -> None:
    ring = [(x, y + 50) for x, y in RINGS[1]]
    file = write_geojson(tmp_path / "p.geojson", feature(RINGS[0], lcz=1), feature(ring, lcz=1))
    with pytest.raises(UserError, match=r"feature 2: 13\.\d+, 102\.\d+ cannot be converted"):
        read(file)


def test_pixels_of_two_classes_are_counted(tmp_path: Path) -> None:
    from compactnas.labels.polygons import Overlaps, owners

    rng = np.random.default_rng(0)
    squares = [Square(*rng.integers(0, 60, 2), 30, int(rng.integers(1, 4))) for _ in range(6)]
    each = [feature(ring_of(square), lcz=square.lcz) for square in squares]
    polygons = read(write_geojson(tmp_path / "p.geojson", *each, crs=named()))
    seen = np.zeros((17, 96, 128), bool)
    for square in squares:
        seen[square.lcz, square.row : square.row + 30, square.column : square.column + 30] = True
    first, last = np.zeros((2, 96, 128), int)
    for square in squares:
        at = np.s_[square.row : square.row + 30, square.column : square.column + 30]
        last[at] = square.lcz
        first[at] = np.where(first[at] == 0, square.lcz, first[at])
    place, overlaps = rasterio.Affine(10, 0, LEFT, 0, -10, TOP), Overlaps(polygons)
    for rows in ((0, 50), (50, 96)):
        overlaps.count(owners(polygons.each, place, rows, 128, polygons.file), place, rows)
    assert 0 < overlaps.pixels == (first != last).sum() <= (seen.sum(0) > 1).sum()
    assert f"{overlaps.pixels:,} pixels in polygons of two classes" in overlaps.notes[0]


def test_label_files_have_an_order(tmp_path: Path) -> None:
    scene = tmp_path / "city.tif"
    for name in ("labels.geojson", "city.kml", "City.GPKG", "city.geojson", "city_LCZ.tif"):
        (tmp_path / name).touch()
    found = [file.name for file in labels_beside(scene)]
    assert found == ["city_LCZ.tif", "city.geojson", "City.GPKG", "city.kml"]
    assert [file.name for file in labels_beside(tmp_path / "other.tif")] == ["labels.geojson"]


def test_label_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    write_scene(tmp_path / "city.tif", numbers())
    for suffix in ("geojson", "kml"):
        write_polygons(tmp_path / f"city.{suffix}", RINGS, {"lcz": [2, 14, 17]})
    source = open_source(DataConfig(str(tmp_path / "city.tif"), window_px=8))
    assert any("city.geojson: read as the labels, not city.kml beside it" in note for note in source.facts.notes)


def test_other_classes_are_sorted_and_counted(tmp_path: Path) -> None:
    write_scene(tmp_path / "city.tif", numbers())
    write_polygons(tmp_path / "city.shp", RINGS, {"cover": ["forest", "water", "Wald"]})
    source = open_source(DataConfig(str(tmp_path / "city.tif"), window_px=8, label_field="COVER"))
    assert source.facts.classes == ("Wald", "forest", "water") and not source.facts.lcz
    assert np.bincount(source.facts.labels).tolist() == [9, 9, 4]
    seen = look(source)
    assert seen.class_groups == {"Wald": 1, "forest": 1, "water": 1}


def test_dates_of_a_place_are_split_by_polygon(tmp_path: Path) -> None:
    """With the split `group`, no polygon is in two parts on any date."""
    for number, name in enumerate(("june", "july", "august")):
        write_scene(tmp_path / "s" / f"{name}.tif", numbers(seed=number))
    write_polygons(tmp_path / "s" / "labels.gpkg", RINGS, {"lcz": [2, 14, 17]})
    config = DataConfig(str(tmp_path / "s"), window_px=8, split="group", test_groups=("polygon 1", "polygon 2"))
    assert set(open_source(config).facts.groups) == {"polygon 1", "polygon 2", "polygon 3"}
    with pytest.raises(UserError, match="has only one class, Water"):
        open_dataset(config)


def test_places_with_dates_are_split_by_place(tmp_path: Path) -> None:
    far = {"transform": rasterio.Affine(10, 0, LEFT + 9000, 0, -10, TOP)}
    for name, place in (("oslo_1", {}), ("oslo_2", {}), ("rome_1", far)):
        write_scene(tmp_path / "s" / f"{name}.tif", numbers(), **place)
    rome = [[(x + 9000, y) for x, y in ring_of(square)] for square in SQUARES]
    rings = [*RINGS, *map(degrees, rome)]
    write_polygons(tmp_path / "s" / "labels.fgb", rings, {"lcz": [2, 14, 17] * 2})
    facts = open_source(DataConfig(str(tmp_path / "s"), window_px=8)).facts
    assert facts.groups is not None and facts.keys is not None
    assert facts.groups.tolist() == ["oslo_1" if key.startswith("oslo") else "rome_1" for key in facts.keys]
    assert len(facts.keys) == 3 * len(expected())


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    file = write_geojson(tmp_path / "p.geojson", feature(RINGS[0], lcz=1))
    monkeypatch.setattr("compactnas.io.extras.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"polygons need pyogrio and shapely; install with pip install 'compactnas\[map\]'"
    ):
        read(file)


def test_a_format_that_this_gdal_lacks_is_one_line(tmp_path: Path) -> None:
    import pyogrio

    if "Parquet" in pyogrio.list_drivers():
        pytest.skip("this GDAL reads GeoParquet")
    (tmp_path / "p.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(
        UserError, match="GDAL cannot read GeoParquet here; export the polygons as GeoPackage or GeoJSON"
    ):
        read(tmp_path / "p.parquet")


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_polygons(tmp_path / "p.gpkg", RINGS, {"lcz": [2, 14, 17]})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("compactnas.labels.staging.shutil.copyfile", full)
    with pytest.raises(UserError, match=r"p\.gpkg: cannot be copied to .* \(No space left on device\)"):
        read(file)
