"""Places: boxes, files of polygons, WRF domains; and grids on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compactnas.catalogues.grid import Grid, grid_of
from compactnas.catalogues.place import Area, area_of
from compactnas.errors import UserError

pytest.importorskip("pyogrio", reason="files of polygons need pyogrio (the map extra)")
xr = pytest.importorskip("xarray", reason="WRF domains need xarray (the map extra)")

BERLIN = (13.25, 52.5, 13.5, 52.625)


def polygons(bounds: tuple[float, float, float, float]) -> dict[str, Any]:
    left, bottom, right, top = bounds
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    return {"type": "FeatureCollection", "features": [feature]}


def test_a_box_is_in_degrees() -> None:
    assert area_of(" 13.25, 52.5,13.5 ,52.625").bounds == BERLIN
    assert area_of("-74.3,40.4,-73.7,41").where == "40.70 N, 74.00 W"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("13.5,52.5,13.25,52.6", "LEFT is not below RIGHT.*did you mean 13.25,52.5,13.5,52.6"),
        ("13.2,52.6,13.5,52.5", "BOTTOM is not below TOP.*did you mean 13.2,52.5,13.5,52.6"),
        ("179,-18,-179,-17", "date line needs two scenes"),
        ("13,113.2,14,113.5", "outside the degrees of the Earth"),
        ("389000,5800000,399000,5810000", "outside the degrees of the Earth"),
        ("13,52,13,53", "has no area"),
        ("10,84,11,85", "UTM"),
        ("13,52,13.5", "is no bounding box: give four numbers"),
        ("nowhere.kml", "there is no such file"),
    ],
)
def test_a_bad_box_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        area_of(text)


@pytest.mark.parametrize(
    ("name", "driver"),
    [("geojson", "GeoJSON"), ("gpkg", "GPKG"), ("kml", "KML"), ("shp", "ESRI Shapefile"), ("fgb", "FlatGeobuf")],
)
@pytest.mark.parametrize("epsg", [4326, 32633])
def test_files_of_polygons_give_their_bounds(tmp_path: Path, name: str, driver: str, epsg: int) -> None:
    file = tmp_path / f"a.{name}"
    import pyogrio.raw
    import shapely
    from rasterio.warp import transform_bounds

    if epsg != 4326 and driver in ("KML", "GeoJSON"):
        pytest.skip("this format is always in degrees")
    bounds = BERLIN if epsg == 4326 else transform_bounds("EPSG:4326", f"EPSG:{epsg}", *BERLIN)
    shapes = shapely.to_wkb(np.array([shapely.box(*bounds)]))
    fields = {"field_data": [np.array(["city"])], "fields": ["name"], "geometry_type": "Polygon"}
    pyogrio.raw.write(file, shapes, driver=driver, crs=f"EPSG:{epsg}", **fields)
    assert area_of(str(file)).bounds == pytest.approx(BERLIN, abs=0.01)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.geojson", "nothing", "is not GeoJSON|nothing"),
        ("a.geojson", "{}", "GeoJSON|features"),
        (
            "a.json",
            '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline read /x"}',
            "GeoJSON|features",
        ),
        (
            "a.kml",
            "<OGRVRTDataSource><SrcDataSource>/etc/x</SrcDataSource></OGRVRTDataSource>",
            "KML",
        ),
        ("a.gpkg", "{}", "is not a GeoPackage"),
        ("a.txt", "{}", "is no place"),
        ("geo_em.nc", "CDF\x05", "is no netCDF file of format 3 or 4"),
        ("geo_em.nc", "CDF\x01" + "\x00" * 40, "has no XLAT_M|cannot be read as netCDF"),
        ("geo_em.nc", "\x89HDF\r\n\x1a\n", "is no netCDF|cannot be read as netCDF"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=message) as error:
        area_of(str(tmp_path / name))
    assert len(str(error.value).splitlines()) == 1


def test_geojson_without_polygons_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text(json.dumps(polygons(BERLIN) | {"features": []}))
    with pytest.raises(UserError, match="has no polygon"):
        area_of(str(tmp_path / "a.geojson"))


@pytest.mark.parametrize(("engine", "format"), [("scipy", "NETCDF3_64BIT"), ("h5netcdf", "NETCDF4")])
def test_a_wrf_domain_gives_the_edges_of_its_cells(tmp_path: Path, engine: str, format: str) -> None:
    latitudes, longitudes = np.meshgrid(np.arange(52.5, 52.6, 0.01), np.arange(13.0, 13.2, 0.02), indexing="ij")
    names = {"XLAT_M": latitudes, "XLONG_M": longitudes}
    centres = {name: (("Time", "south_north", "west_east"), v[None].astype(np.float32)) for name, v in names.items()}
    xr.Dataset(centres).to_netcdf(tmp_path / "geo_em.d01.nc", engine=engine, format=format)
    expected = (longitudes.min() - 0.01, latitudes.min() - 0.005, longitudes.max() + 0.01, latitudes.max() + 0.005)
    assert area_of(str(tmp_path / "geo_em.d01.nc")).bounds == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "middle"), [("geo_em.d04.nc", (41.68, -0.89)), ("geo_em.d02_Shanghai.nc", (31.2, 121.5))]
)
def test_real_wrf_domains_are_read(shared: Path, name: str, middle: tuple[float, float]) -> None:
    file = shared / "data" / "w2w" / name
    if not file.is_file():
        pytest.skip(f"real data: no file {file}")
    area = area_of(str(file))
    assert area.centre == pytest.approx(middle[::-1], abs=0.15)
    assert 0.3 < area.bounds[2] - area.bounds[0] < 2


def test_a_grid_covers_its_area_in_whole_pixels() -> None:
    from rasterio.warp import transform_bounds

    grid = grid_of(Area(BERLIN, ""), 10.0, 10)
    left, bottom, right, top = transform_bounds("EPSG:4326", "EPSG:32633", *BERLIN, densify_pts=51)
    assert grid.epsg == 32633 and (grid.left % 10, grid.top % 10) == (0, 0)
    assert 0 <= left - grid.left < 10 and 0 <= grid.top - top < 10
    assert 0 <= grid.left + 10 * grid.width - right < 10 and 0 <= bottom - (grid.top - 10 * grid.height) < 10
    shifted = grid_of(Area(BERLIN, ""), 30.0, 7, corner=(307_185.0, 5_900_115.0))
    assert (shifted.left % 30, shifted.top % 30) == (15, 15)
    assert grid_of(Area((-70.7, -33.5, -70.6, -33.4), ""), 10.0, 10).epsg == 32719


def test_a_grid_is_bounded() -> None:
    with pytest.raises(UserError, match=r"is \d+ x \d+ km.*divide the place"):
        grid_of(Area((5.0, 45.0, 15.0, 55.0), "5,45,15,55"), 10.0, 10)


@pytest.mark.parametrize(("days", "side"), [(3, 1024), (30, 1024), (40, 512), (200, 256)])
def test_blocks_cover_a_grid_once_and_shrink_with_the_days(days: int, side: int) -> None:
    grid = Grid(32633, 0.0, 0.0, 10.0, 2100, 1500)
    blocks = grid.blocks(days)
    seen = np.zeros((grid.height, grid.width), int)
    for window in blocks:
        seen[window.row : window.row + window.height, window.column : window.column + window.width] += 1
        assert max(window.height, window.width) <= side
    assert (seen == 1).all()
