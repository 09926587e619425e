"""Polygons that people bring as labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.input_outcomes import Outcome
from support.inputs import Check, Input, Use, assert_note, command, train, verify, windows
from support.map_files import EPSG, numbers, write_raster, write_scene
from support.polygons import (
    LON_LAT,
    SQUARES,
    Square,
    degrees,
    expected,
    feature,
    folder,
    placemark,
    ring_of,
    write_geojson,
    write_kml,
    write_polygons,
)

for package in ("rasterio", "pyogrio", "shapely"):
    pytest.importorskip(package, reason="labels need the map extra")

FIRST, SECOND, THIRD = SQUARES
RINGS = [degrees(ring_of(square)) for square in SQUARES]


RIGHT = windows(expected())


def used(where: Path, expect: Check | str = RIGHT, **options: Any) -> Use:
    """Train on a scene beside the labels, with windows of 8 pixels."""
    write_scene(where / "city.tif", numbers())
    return train(expect, **{"path": where / "city.tif", "window_px": 8} | options)


def features(**changes: object) -> list[dict[str, Any]]:
    """The squares as features of GeoJSON with the field `lcz`."""
    return [feature(ring, lcz=square.lcz) | changes for ring, square in zip(RINGS, SQUARES, strict=True)]


def as_format(suffix: str, crs: str = LON_LAT) -> Callable[[Path], Use]:
    def make(where: Path) -> Use:
        rings = RINGS if crs == LON_LAT else [ring_of(square) for square in SQUARES]
        write_polygons(where / f"city{suffix}", rings, {"lcz": [square.lcz for square in SQUARES]}, crs)
        return used(where, labels=where / f"city{suffix}")

    return make


def spelled(field: str, *values: object) -> Callable[[Path], Use]:
    """The squares with these spellings of their classes."""

    def make(where: Path) -> Use:
        each = zip(RINGS, values, strict=True)
        write_geojson(where / "city.geojson", *(feature(ring, **{field: value}) for ring, value in each))
        return used(where)

    return make


def with_crs(crs: object, *, metres: bool = False) -> Callable[[Path], Use]:
    def make(where: Path) -> Use:
        each = [
            feature(ring_of(square) if metres else ring, lcz=square.lcz)
            for ring, square in zip(RINGS, SQUARES, strict=True)
        ]
        write_geojson(where / "city.geojson", *each, crs=crs)
        return used(where)

    return make


def swapped(where: Path) -> Use:
    each = [feature([(y, x) for x, y in ring], lcz=s.lcz) for ring, s in zip(RINGS, SQUARES, strict=True)]
    write_geojson(where / "city.geojson", *each)
    return used(where, windows(expected(), r"latitude and longitude seem to be swapped.*\(3 of 3\)"))


def without_geometry(where: Path) -> Use:
    empty = {"type": "Polygon", "coordinates": []}
    write_geojson(where / "city.geojson", feature(None, lcz=1), *features(), feature(None, lcz=1) | {"geometry": empty})
    return used(where, windows(expected(), "1 feature without a geometry left out"))


def with_a_mark(where: Path) -> Use:
    write_geojson(where / "city.geojson", *features(), start="\N{ZERO WIDTH NO-BREAK SPACE}")
    return used(where)


def with_lines(where: Path) -> Use:
    point, line = RINGS[0][0], RINGS[0][:2]
    others = [{"type": "Point", "coordinates": point}, {"type": "LineString", "coordinates": line}]
    write_geojson(where / "city.geojson", *({"geometry": one} for one in others), *features())
    return used(where, windows(expected(), "2 features with points or lines only left out"))


def collections(where: Path) -> Use:
    each = features()
    for one in each:
        parts = [one["geometry"], {"type": "Point", "coordinates": RINGS[0][0]}]
        one["geometry"] = {"type": "GeometryCollection", "geometries": parts}
    write_geojson(where / "city.geojson", *each)
    return used(where)


def bow_tie(where: Path) -> Use:
    a, b, c, d, _ = RINGS[1]
    write_geojson(where / "city.geojson", *features()[:1], feature([a, c, b, d, a], lcz=2))
    return used(where, r"city\.geojson, feature 2: its polygon has an outline that crosses itself at 13.*draw it again")


def two_points(where: Path) -> Use:
    write_geojson(where / "city.geojson", *features()[:1], feature(RINGS[1][:2], lcz=2))
    return used(
        where, r"city\.geojson, feature 2: its polygon has a ring that is not closed or has fewer than four points"
    )


def spike(where: Path) -> Use:
    ring = ring_of(FIRST)
    drawn = [*ring[:2], (ring[1][0] + 50, ring[1][1] - 40), ring[1], *ring[2:]]
    write_geojson(where / "city.geojson", feature(degrees(drawn), lcz=2), *features()[1:])
    return used(where, windows(expected(), "1 polygon repaired, whose outline touches itself"))


def overlapping(where: Path) -> Use:
    squares = (Square(20, 20, 30, 2), Square(40, 20, 30, 5))
    each = [feature(degrees(ring_of(square)), lcz=square.lcz) for square in squares]
    write_geojson(where / "city.geojson", *each)
    note = r"300 pixels in polygons of two classes \(such as polygon 1 and polygon 2\); the later polygon counts"
    return used(where, windows(expected(squares), note))


def copies(where: Path) -> Use:
    write_geojson(where / "city.geojson", *features(), *features())
    return used(where, windows(expected(), "3 polygons left out as copies of others"))


def null_field(where: Path) -> Use:
    each = [feature(ring, lcz=None, Class=s.lcz) for ring, s in zip(RINGS, SQUARES, strict=True)]
    write_geojson(where / "city.geojson", *each)
    return used(where)


def half_null(where: Path) -> Use:
    """Some polygons have their class in one field, some in another, and one has none."""
    write_geojson(
        where / "city.geojson",
        feature(RINGS[0], lcz=2, gridcode=None),
        feature(RINGS[1], lcz=None, gridcode=14),
        feature(RINGS[2], lcz=None, gridcode=None),
    )
    return used(where, windows(expected(SQUARES[:2]), "1 polygon without a class left out"))


def no_field(where: Path) -> Use:
    write_geojson(where / "city.geojson", feature(RINGS[0], town="Rome", area=3))
    return used(where, r"no field is named lcz or class; its fields are town, area; name .* with --data\.label-field")


def named_field(where: Path) -> Use:
    each = [feature(ring, lcz=1, mine=s.lcz) for ring, s in zip(RINGS, SQUARES, strict=True)]
    write_geojson(where / "city.geojson", *each)
    return used(where, label_field="mine")


def misspelt_field(where: Path) -> Use:
    write_geojson(where / "city.geojson", *features())
    return used(where, r"has no field 'klass'; its fields are lcz", label_field="klass")


def wrong_value(where: Path) -> Use:
    write_geojson(where / "city.geojson", *features(), feature(RINGS[0], lcz=22))
    return used(where, r"city\.geojson, feature 4: the field lcz holds '22', which is no LCZ")


def other_classes(where: Path) -> Use:
    names = ("forest", "water", "built-up")
    write_geojson(where / "city.geojson", *(feature(r, cover=n) for r, n in zip(RINGS, names, strict=True)))
    numbered = [square._replace(lcz=1 + sorted(names).index(n)) for square, n in zip(SQUARES, names, strict=True)]
    note = "holds 3 classes that are not LCZ: built-up, forest, water"
    return used(where, windows(expected(numbered), note), label_field="cover")


def dates(where: Path) -> Use:
    """Two scenes of the same place and one label file."""
    for number, name in enumerate(("june", "july")):
        write_scene(where / "scenes" / f"{name}.tif", numbers(seed=number))
    write_geojson(where / "scenes" / "labels.geojson", *features())
    both = expected(file="july.tif") | expected(file="june.tif")

    def check(outcome: Outcome) -> None:
        windows(both)(outcome)
        polygon = {square.lcz: f"polygon {number}" for number, square in enumerate(SQUARES, 1)}
        assert outcome["groups"] == [polygon[lcz] for lcz in outcome["windows"].values()]

    return train(check, path=where / "scenes", window_px=8)


def named_labels_of_dates(where: Path) -> Use:
    use = dates(where)
    (where / "scenes" / "labels.geojson").rename(where / "mine.geojson")
    use.what["train"]["labels"] = str(where / "mine.geojson")
    return use


def another_place(where: Path) -> Use:
    moved = [(x - 2, y + 1) for x, y in RINGS[0]]
    write_geojson(where / "city.geojson", feature(moved, lcz=2))
    place = r"it lies around longitude 11\.\d\d, latitude 53\.\d\d, the scene around longitude 13"
    return used(where, rf"its polygon does not lie on city\.tif: {place}")


def tiny(where: Path) -> Use:
    left, top = ring_of(FIRST)[0]
    ring = [(left + x, top - y) for x, y in ((1, 1), (3, 1), (3, 3), (1, 3), (1, 1))]
    write_geojson(where / "city.geojson", feature(degrees(ring), lcz=2))
    return used(where, r"none of its polygons contains the centre of a pixel of city\.tif; draw larger ones")


def metres_without_system(where: Path) -> Use:
    write_geojson(where / "city.geojson", feature(ring_of(FIRST), lcz=2))
    return used(where, r"feature 1: 384240, 5820120 are no longitude and latitude; export .*GeoPackage")


def without_prj(where: Path) -> Use:
    write_polygons(where / "city.shp", RINGS, {"lcz": [2, 14, 17]})
    (where / "city.prj").unlink()
    return used(where, r"city\.shp: has no coordinate system; export the polygons again with its \.prj file")


def without_dbf(where: Path) -> Use:
    write_polygons(where / "city.shp", RINGS, {"lcz": [2, 14, 17]})
    (where / "city.dbf").unlink()
    return used(where, r"city\.shp: its \.dbf is missing")


def part_of_a_shapefile(where: Path) -> Use:
    write_polygons(where / "city.shp", RINGS, {"lcz": [2, 14, 17]})
    return used(where, r"city\.dbf: is a part of a shapefile; name its \.shp", labels=where / "city.dbf")


def capital_letters(where: Path) -> Use:
    write_polygons(where / "city.shp", RINGS, {"LCZ_CLASS": [2, 14, 17]})
    for part in list(where.glob("city.*")):
        part.rename(part.with_name(part.name.upper()))
    return used(where)


def of_another_kind(suffix: str) -> Callable[[Path], Use]:
    def make(where: Path) -> Use:
        source = write_geojson(where / "other.geojson", *features())
        shutil.move(source, where / f"city{suffix}")
        return used(where, rf"city{suffix}: (is not|its)", labels=where / f"city{suffix}")

    return make


def template(where: Path) -> Use:
    """What Google Earth saves from WUDAPT's template: an outline of the city, and a folder for each zone."""
    whole = degrees(ring_of(Square(0, 0, 90, 0)))
    folders = [
        folder("2", placemark(RINGS[0], "old town"), placemark(None, "Style Placeholder")),
        folder("D", placemark(RINGS[1], "2")),
        folder("107", folder("lakes", placemark(RINGS[2], "Großer See"))),
        folder("4", placemark(None, "Style Placeholder")),
    ]
    write_kml(where / "city.kml", folder("[Berlin][2024][NN]", placemark(whole, "ROI"), *folders))

    def check(outcome: Outcome) -> None:
        windows(expected(), "1 polygon without a class left out")(outcome)
        assert_note(outcome, "classes are taken from the folder")
        assert_note(outcome, "1 polygon named after another class than the folder, which counts")

    return used(where, check)


def named_folders(where: Path) -> Use:
    names = ("LCZ 2 - compact mid-rise", "LCZ D: low plants", "LCZ_17 (water)")
    write_kml(where / "city.kml", *(folder(n, placemark(r, "x")) for n, r in zip(names, RINGS, strict=True)))
    return used(where)


def placemark_names(where: Path) -> Use:
    write_kml(where / "city.kml", *map(placemark, RINGS, ("2", "LCZ D", "Water")))
    return used(where, windows(expected(), "classes are taken from the field Name"))


def assessed(where: Path) -> Use:
    """A map that is right in one of two polygons of KML."""
    mapped = np.full((1, 96, 128), 2, np.uint8)
    write_raster(where / "map.tif", mapped, nodata=0)
    write_kml(where / "truth.kml", *map(placemark, RINGS[:2], ("LCZ 2", "D")))

    def check(outcome: Outcome) -> None:
        assert f" {100 * 900 / 1300:.1f}" in outcome["printed"] and "1300" in outcome["printed"], outcome

    return command(check, "assess", where / "map.tif", where / "truth.kml", "--draws", "0")


def assessed_by_field(where: Path) -> Use:
    write_raster(where / "map.tif", np.full((1, 96, 128), 2, np.uint8), nodata=0)
    write_geojson(where / "truth.geojson", feature(RINGS[0], town="Rome"))
    pattern = r"its fields are town; name the one with the classes with --label-field"
    return command(pattern, "assess", where / "map.tif", where / "truth.geojson")


CODE = {"type": "EPSG", "properties": {"code": EPSG}}
URN = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
INPUTS = (
    Input("GeoJSON", as_format(".geojson")),
    Input("KML", as_format(".kml")),
    Input("KMZ", as_format(".kmz")),
    Input("GeoPackage", as_format(".gpkg")),
    Input("GeoPackage in metres", as_format(".gpkg", f"EPSG:{EPSG}")),
    Input("shapefile", as_format(".shp")),
    Input("shapefile in another UTM zone's metres", as_format(".shp", f"EPSG:{EPSG}")),
    Input("shapefile in a zip", as_format(".zip")),
    Input("FlatGeobuf", as_format(".fgb")),
    Input("shapefile in capital letters", capital_letters),
    Input("shapefile without .prj", without_prj),
    Input("shapefile without .dbf", without_dbf),
    Input("a part of a shapefile", part_of_a_shapefile),
    Input("GeoJSON with `crs` of CRS84", with_crs(URN)),
    Input("GeoJSON with `crs` of type EPSG", with_crs(CODE, metres=True)),
    Input("GeoJSON in metres without `crs`", metres_without_system),
    Input("GeoJSON with latitude first", swapped),
    Input("GeoJSON with a null and an empty geometry", without_geometry),
    Input("GeoJSON with a byte order mark", with_a_mark),
    Input("GeoJSON with points and lines", with_lines),
    Input("GeoJSON with collections", collections),
    Input("a polygon like a bow tie", bow_tie),
    Input("a polygon of two points", two_points),
    Input("a polygon with a spike", spike),
    Input("polygons of two classes that overlap", overlapping),
    Input("polygons twice", copies),
    Input('classes as "2", "14.0", "17"', spelled("lcz", "2", "14.0", "17")),
    Input("classes as 2.0, 14.0, 17.0", spelled("CLASS", 2.0, 14.0, 17.0)),
    Input('classes as "LCZ 2", "LCZ D", "lcz_17"', spelled("Name", "LCZ 2", "LCZ D", "lcz_17")),
    Input("classes as 2, 104, 107", spelled("gridcode", 2, 104, 107)),
    Input("classes as names", spelled("lcz_class", "Compact midrise", "low plants", "WATER")),
    Input("classes as 2, D, G", spelled("Classes", 2, "D", "g")),
    Input("a null field before the one with classes", null_field),
    Input("classes in two fields, and a polygon without one", half_null),
    Input("no field with classes", no_field),
    Input("a field that is named", named_field),
    Input("a named field that is not there", misspelt_field),
    Input("a class 22", wrong_value),
    Input("classes that are not LCZ", other_classes),
    Input("two dates with one label file", dates),
    Input("two dates with one label file elsewhere", named_labels_of_dates),
    Input("polygons of another place", another_place),
    Input("a polygon smaller than a pixel", tiny),
    Input("GeoJSON named .gpkg", of_another_kind(".gpkg")),
    Input("GeoJSON named .shp", of_another_kind(".shp")),
    Input("GeoJSON named .kml", of_another_kind(".kml")),
    Input("GeoJSON named .kmz", of_another_kind(".kmz")),
    Input("GeoJSON named .fgb", of_another_kind(".fgb")),
    Input("GeoJSON named .zip", of_another_kind(".zip")),
    Input("WUDAPT's template", template),
    Input("KML with folders named after zones", named_folders),
    Input("KML with placemarks named after zones", placemark_names),
    Input("KML as the reference of a map", assessed),
    Input("a reference without classes", assessed_by_field),
)


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_an_input_gives_the_right_windows_or_says_why_not(one: Input, tmp_path: Path) -> None:
    verify(one, tmp_path)


def test_all_formats_give_the_same_windows(tmp_path: Path) -> None:
    """Names, groups and pixels are the same to the byte, although a FlatGeobuf has another order of its features."""
    from compactnas import DataConfig, open_source

    write_scene(tmp_path / "city.tif", numbers())
    found = []
    for suffix in (".geojson", ".kml", ".kmz", ".gpkg", ".shp", ".zip", ".fgb"):
        file = write_polygons(tmp_path / suffix[1:] / f"p{suffix}", RINGS, {"lcz": [2, 14, 17], "id": [7, 8, 9]})
        source = open_source(DataConfig(str(tmp_path / "city.tif"), window_px=8, labels=str(file)))
        images, labels = source.batch(np.arange(len(source.facts.labels)))
        assert source.facts.groups is not None
        found.append((images.tobytes(), labels.tobytes(), source.facts.keys, source.facts.groups.tolist()))
    for one in found[1:]:
        assert one == found[0]
    assert len(found[0][2] or ()) == len(expected())


def test_notes_are_checked() -> None:
    with pytest.raises(AssertionError):
        assert_note({"notes": ["something else"]}, "left out")
