"""Files of polygons made hostile on purpose: nothing else is opened or fetched, and no memory is taken."""

from __future__ import annotations

import json
import sqlite3
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hostile import refused
from support.map_files import EPSG, numbers, write_scene
from support.polygons import (
    SQUARES,
    degrees,
    feature,
    folder,
    placemark,
    ring_of,
    write_geojson,
    write_kml,
    write_polygons,
)

from compactnas.errors import UserError
from compactnas.labels import reading, staging

rasterio = pytest.importorskip("rasterio", reason="labels need the map extra")
pyogrio = pytest.importorskip("pyogrio", reason="labels need the map extra")

RINGS = [degrees(ring_of(square)) for square in SQUARES]
COLUMNS: dict[str, Any] = {"lcz": [2, 14, 17]}


def read(file: Path) -> Any:
    from compactnas.labels.polygons import read_polygons

    return read_polygons(file, rasterio.crs.CRS.from_epsg(EPSG))


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """Addresses that are asked for; the first entry is that of a server."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    requests.append(f"http://127.0.0.1:{server.server_port}")
    yield requests
    server.shutdown()
    server.server_close()


def test_links_and_styles_of_kml_are_not_fetched(tmp_path: Path, asked: list[str]) -> None:
    url = asked[0]
    link = f"<NetworkLink><Link><href>{url}/link.kml</href></Link></NetworkLink>"
    style = f"<Style><IconStyle><Icon><href>{url}/icon.png</href></Icon></IconStyle></Style>"
    overlay = f"<GroundOverlay><Icon><href>{url}/overlay.png</href></Icon></GroundOverlay>"
    mark = placemark(RINGS[0], "2").replace("#style", f"{url}/style.kml#a")
    polygons = read(write_kml(tmp_path / "a.kml", link, style, overlay, folder("G", link, mark)))
    assert [polygon.label for polygon in polygons.each] == [16]
    assert any("2 links to other files are not followed" in note for note in polygons.notes)
    assert asked == [url]


def test_a_system_at_an_address_is_not_fetched(tmp_path: Path, asked: list[str]) -> None:
    crs = {"type": "link", "properties": {"href": f"{asked[0]}/system.wkt", "type": "ogcwkt"}}
    with pytest.raises(UserError, match="its `crs` has no name"):
        read(write_geojson(tmp_path / "a.geojson", feature(RINGS[0], lcz=2), crs=crs))
    assert len(asked) == 1


def virtual(where: Path) -> str:
    """A virtual format of GDAL that refers to another file, whose polygon is of class 2."""
    source = write_polygons(where / "secret.geojson", RINGS[:1], {"lcz": [2]})
    layer = f"<OGRVRTLayer name='secret'><SrcDataSource>{source}</SrcDataSource></OGRVRTLayer>"
    return f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>"


@pytest.mark.parametrize("suffix", staging.STAGES)
def test_another_format_in_disguise_is_refused(suffix: str, tmp_path: Path) -> None:
    content = virtual(tmp_path)
    (tmp_path / f"a{suffix}").write_text(content)
    if suffix == ".shp":
        for part in (".shx", ".dbf"):
            (tmp_path / f"a{part}").write_bytes(b"")
    with pytest.raises(UserError, match=r"is not |does not exist|cannot read"):
        read(tmp_path / f"a{suffix}")


def test_tags_and_commands_in_geojson_are_text(tmp_path: Path) -> None:
    hidden = {"lcz": 5, virtual(tmp_path): virtual(tmp_path), "gdal_streamed_alg": "gdal_streamed_alg"}
    content = {
        "type": "gdal_streamed_alg",
        "command_line": f"gdal vector pipeline ! read {tmp_path / 'secret.geojson'} ! write streamed",
        "features": [feature(RINGS[0], **hidden)],
    }
    (tmp_path / "a.geojson").write_text(json.dumps(content))
    (polygon,) = read(tmp_path / "a.geojson").each
    assert polygon.label == 4


def test_tags_in_kml_are_text(tmp_path: Path) -> None:
    hidden = virtual(tmp_path)
    mark = placemark(
        RINGS[0], "5", f"<ExtendedData><Data name='a'><value><![CDATA[{hidden}]]></value></Data></ExtendedData>"
    )
    (polygon,) = read(write_kml(tmp_path / "a.kml", mark, head=f"<!-- {hidden} -->")).each
    assert polygon.label == 4


def with_entity(where: Path, definition: str) -> Path:
    return write_kml(where / "city.kml", placemark(RINGS[0], "&a;"), head=f"<!DOCTYPE kml [{definition}]>")


def laughs(where: Path) -> Path:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return with_entity(where, f'<!ENTITY a0 "lol">{entities}<!ENTITY a "&a11;">')


def nested_kml(where: Path) -> Path:
    return write_kml(where / "city.kml", "<Folder>" * 100_000 + "</Folder>" * 100_000)


def bomb(where: Path, name: str, inner: str) -> Path:
    """A zip file of about a megabyte that unpacks to 300 MiB."""
    with zipfile.ZipFile(where / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for suffix in (".shp", ".shx", ".dbf") if inner == "shp" else (inner,):
            with archive.open(f"city{suffix}", "w") as file:
                for _ in range(100):
                    file.write(bytes(2**20))
    return where / name


def huge_flatgeobuf(where: Path) -> Path:
    """A FlatGeobuf that says that it has a billion features."""
    file = write_polygons(where / "city.fgb", RINGS * 111, {"lcz": [2, 14, 17] * 111})
    content = file.read_bytes()
    assert content.count(struct.pack("<Q", 333)) == 1
    file.write_bytes(content.replace(struct.pack("<Q", 333), struct.pack("<Q", 10**9)))
    return file


def virtual_table(where: Path) -> Path:
    """A GeoPackage with a table that would read another file."""
    file = write_polygons(where / "city.gpkg", RINGS, COLUMNS)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA writable_schema = ON")
        statement = "CREATE VIRTUAL TABLE secret USING VirtualOGR('/etc/passwd')"
        database.execute("INSERT INTO sqlite_master VALUES ('table', 'secret', 'secret', 0, ?)", [statement])
    database.close()
    return file


def nested_collection(where: Path) -> Path:
    one: dict[str, Any] = {"type": "GeometryCollection", "geometries": []}
    for _ in range(10):
        one = {"type": "GeometryCollection", "geometries": [one]}
    return write_geojson(where / "city.geojson", {"properties": {"lcz": 1}, "geometry": one})


def infinite(where: Path) -> Path:
    file = write_geojson(where / "city.geojson", feature(RINGS[0], lcz=1))
    file.write_text(file.read_text().replace(str(RINGS[0][0][0]), "1e999"))
    return file


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an entity from a file": (
        lambda where: with_entity(where, "<!ENTITY a SYSTEM 'file:///etc/passwd'>"),
        "its own entities",
    ),
    "entities that grow": (laughs, "it defines its own entities"),
    "KML nested without end": (nested_kml, "it is nested too deeply"),
    "KML of another root": (
        lambda where: write_kml(where / "city.kml", head="<a/>"),
        "is not KML (its root element is a)",
    ),
    "a KMZ that grows": (lambda where: bomb(where, "city.kmz", ".kml"), "unpacks to more than 16 MiB"),
    "a zip file that grows": (lambda where: bomb(where, "city.zip", "shp"), "unpacks to more than 256 MiB"),
    "features without end": (huge_flatgeobuf, "keep at most 100,000 polygons"),
    "a virtual table": (virtual_table, "holds a virtual table"),
    "collections in collections": (nested_collection, "has collections nested too deeply"),
    "coordinates without end": (infinite, "has coordinates that cannot be read"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_polygons_that_are_hostile(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, message = HOSTILE[kind]
    write_scene(tmp_path / "city.tif", numbers())
    labels = make(tmp_path)
    assert message in refused(tmp_path, capsys, "inspect", str(tmp_path / "city.tif"), "--data.labels", str(labels))


def test_a_zip_file_writes_nowhere_else(tmp_path: Path) -> None:
    source = write_polygons(tmp_path / "in" / "p.shp", RINGS, COLUMNS)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for part in source.parent.iterdir():
            archive.write(part, f"../../p{part.suffix}")
    before = set(tmp_path.parent.rglob("*"))
    assert len(read(tmp_path / "p.zip").each) == 3
    assert set(tmp_path.parent.rglob("*")) == before


def test_many_features_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_polygons(tmp_path / "p.gpkg", RINGS, COLUMNS)
    monkeypatch.setattr(reading, "MOST_FEATURES", 2)
    with pytest.raises(UserError, match="says that it has 3 features of 1 fields; keep at most 2 polygons"):
        read(file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A good file of each format."""
    where = tmp_path_factory.mktemp("whole")
    suffixes = (".geojson", ".gpkg", ".kml", ".kmz", ".zip", ".fgb")
    return {suffix: write_polygons(where / f"p{suffix}", RINGS, COLUMNS).read_bytes() for suffix in suffixes}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(
    data: st.DataObject, whole: dict[str, bytes], tmp_path: Path
) -> None:
    suffix = data.draw(st.sampled_from(sorted(whole)))
    content = bytearray(whole[suffix])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    (tmp_path / f"p{suffix}").write_bytes(content[:end])
    said = ""
    try:
        read(tmp_path / f"p{suffix}")
    except UserError as error:
        said = str(error)
    assert "\n" not in said and "compactnas-" not in said


def test_a_polygon_of_thousands_of_holes_is_refused_before_they_are_compared(tmp_path: Path) -> None:
    ring = [[13.3, 52.5], [13.4, 52.5], [13.4, 52.6], [13.3, 52.5]]
    many = {"type": "Polygon", "coordinates": [ring] * 3000}
    one = {"type": "Feature", "properties": {"lcz": 3}, "geometry": many}
    file = tmp_path / "labels.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [one]}))
    with pytest.raises(UserError, match="feature 1: its polygon has 2999 holes, more than 500; draw it again"):
        read(file)


def test_a_coordinate_system_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    file = write_polygons(tmp_path / "p.shp", RINGS, COLUMNS)
    prj = file.with_suffix(".prj")
    prj.write_bytes(prj.read_bytes().replace(b"D_WGS_1984", b"D_WGS_198\x8c"))
    with pytest.raises(UserError, match=r"p\.shp: its coordinate system is not text; export the polygons again"):
        read(file)


ENDS = {
    "an area beyond numbers": [[384240.0, 1e308], [384540.0, 5820120.0], [384540.0, 5819820.0], [384240.0, 5819820.0]],
    "an area that is no number": [[384240.0, 1e308], [384540.0, -1e308], [1e308, 5819820.0], [-1e308, 5819820.0]],
}


@pytest.mark.parametrize("corners", ENDS.values(), ids=list(ENDS))
def test_a_corner_at_the_end_of_numbers_is_no_warning(corners: list[list[float]], tmp_path: Path) -> None:
    """Found by `scripts/fuzz --target geojson` and `shapefile`: comparing outlines warned."""
    far = {"type": "MultiPolygon", "coordinates": [[[*corners, corners[0]]]]}
    square = [[384740.0, 5820020.0], [384940.0, 5820020.0], [384940.0, 5819820.0], [384740.0, 5820020.0]]
    near = {"type": "Polygon", "coordinates": [square]}
    shapes = [{"type": "Feature", "properties": {"lcz": 2}, "geometry": shape} for shape in (far, near)]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{EPSG}"}}
    file = tmp_path / "polygons.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": shapes}))
    assert len(read(file).each) == 2
