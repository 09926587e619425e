"""Scale and offset of items: real ones of each catalogue, and the cases between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compactnas.catalogues.config import SceneConfig
from compactnas.catalogues.items import choose
from compactnas.catalogues.place import Area
from compactnas.catalogues.scaling import scaling_of
from compactnas.catalogues.sensors import HLS_L30, HLS_S30, LANDSAT, SENTINEL_2, Sensor, band_of, sensor_of
from compactnas.errors import UserError

TEN = set(SENTINEL_2.bands)


def s2(declared: dict[str, Any] | None = None, **properties: Any) -> tuple[float, float, float]:
    """Scale, offset and no data of a Sentinel-2 asset; `__` in a name is a colon."""
    asset = {"raster:bands": [declared]} if declared is not None else {}
    item = {"id": "S2B_33UUU_20240610_0_L2A", "properties": {k.replace("__", ":"): v for k, v in properties.items()}}
    found = scaling_of(item, asset, SENTINEL_2)
    return found.scale, found.offset, found.nodata


OFFSET = {"scale": 0.0001, "offset": -0.1, "nodata": 0}


def test_the_offset_is_taken_once() -> None:
    assert s2() == (1e-4, 0.0, 0)
    assert s2(OFFSET) == (1e-4, -0.1, 0)
    assert s2(OFFSET, s2__processing_baseline="05.10") == (1e-4, -0.1, 0)
    assert s2(OFFSET, earthsearch__boa_offset_applied=False) == (1e-4, -0.1, 0)
    assert s2(OFFSET, earthsearch__boa_offset_applied=True, s2__processing_baseline="05.10") == (1e-4, 0.0, 0)
    assert s2(None, sentinel__boa_offset_applied=True, sentinel__processing_baseline="04.00") == (1e-4, 0.0, 0)
    # An entry without an offset, as of data type alone, does not say that there is none.
    assert s2({"data_type": "uint16"}, s2__processing_baseline="05.10") == (1e-4, -0.1, 0)
    assert s2({"scale": 0.0001, "offset": 0}, s2__processing_baseline="05.10") == (1e-4, 0.0, 0)


@pytest.mark.parametrize(
    ("baseline", "offset"), [("02.12", 0.0), ("03.01", 0.0), ("04.00", -0.1), ("05.11", -0.1), ("99.99", -0.1)]
)
def test_the_processing_baseline_tells_the_offset(baseline: str, offset: float) -> None:
    assert s2(None, s2__processing_baseline=baseline)[1] == offset
    assert s2(None, processing__version=baseline)[1] == offset
    name = f"S2B_MSIL2A_20220413T150759_N{baseline.replace('.', '')}_R025_T33XWJ_20220414T082126.SAFE"
    assert s2(None, s2__product_uri=name)[1] == offset


def test_version_2_of_the_raster_extension_is_read() -> None:
    item = {"id": "a", "properties": {}}
    asset = {"raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0, "bands": [{"name": "B02"}]}
    assert scaling_of(item, asset, SENTINEL_2)[:3] == (1e-4, -0.1, 0)
    asset = {"bands": [{"name": "B02", "raster:scale": 0.0002, "raster:offset": 0.5, "nodata": 7}]}
    assert scaling_of(item, asset, SENTINEL_2)[:3] == (2e-4, 0.5, 7)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "big", None, True, -1])
def test_a_scale_that_is_none_is_not_taken(value: Any) -> None:
    assert s2({"scale": value})[0] == 1e-4


def test_other_sensors_have_their_own() -> None:
    item = {"id": "a", "properties": {}}
    assert scaling_of(item, {}, LANDSAT)[:3] == (2.75e-5, -0.2, 0)
    assert scaling_of(item, {}, HLS_S30)[:3] == (1e-4, 0.0, -9999)


REAL = {
    "S2A_28QCH_20200714_0_L2A.json": ("sentinel-s2-l2a-cogs", (1e-4, 0.0), "processing baseline 02.14"),
    "S2A_T60CWS_20240109T203651_L2A.json": ("sentinel-2-l2a", (1e-4, -0.1), "declared by the asset"),
    "S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json": (
        *("sentinel-2-l2a", (1e-4, 0.0), "processing baseline 02.12"),
    ),
    "S2B_MSIL2A_20220413T150759_N0400_T33XWJ.json": ("sentinel-2-l2a", (1e-4, -0.1), "declared by the asset"),
    "LC08_L2SR_081119_20200101_20200823_02_T2.json": ("landsat-c2l2-sr", (2.75e-5, -0.2), "that of Landsat 8 and 9"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_items_have_all_bands_with_the_right_numbers(name: str, shared: Path) -> None:
    file = shared / "data" / "stac_items" / name
    if not file.is_file():
        pytest.skip(f"real data: no file {file}")
    item = json.loads(file.read_text())
    collection, expected, source = REAL[name]
    sensor = sensor_of(collection)
    bands: dict[str, set[str]] = {}
    for key, asset in item["assets"].items():
        if band := band_of(sensor, key, asset):
            bands.setdefault(band, set()).add(key)
            found = scaling_of(item, asset, sensor)
            assert (found.scale, found.offset) == expected and found.nodata == 0
            assert found.source == source
    assert set(sensor.bands) <= bands.keys()
    assert sum(sensor.is_mask(key) for key in item["assets"]) >= 1
    assert not any("visual" in key or "preview" in key for keys in bands.values() for key in keys)


@pytest.mark.parametrize(
    ("collection", "sensor"),
    [
        ("sentinel-2-c1-l2a", SENTINEL_2),
        ("landsat-c2-l2", LANDSAT),
        ("hls2-s30", HLS_S30),
        ("HLSL30_2.0", HLS_L30),
    ],
)
def test_the_sensor_follows_from_the_collection(collection: str, sensor: Sensor) -> None:
    assert sensor_of(collection) is sensor


def test_bands_of_hls_landsat_are_never_taken_for_sentinel_2() -> None:
    asset = {"type": "image/tiff"}
    assert (
        [band_of(HLS_L30, f"B0{number}", asset) for number in range(1, 8)] == list(LANDSAT.bands) == list(HLS_L30.bands)
    )
    assert band_of(HLS_S30, "B05", asset) == "B05" and not band_of(HLS_L30, "Fmask", asset)


def test_an_unknown_sensor_is_one_line() -> None:
    with pytest.raises(UserError, match="--collection: 'sentinel-1-grd' is not known to be of Sentinel-2"):
        sensor_of("sentinel-1-grd")


def test_items_of_copernicus_are_understood() -> None:
    """Assets in several resolutions on S3, with version 2 of the extensions: the finest file of each band is taken."""
    assets: dict[str, Any] = {"TCI_10m": {"href": "s3://eodata/TCI_10m.jp2", "type": "image/jp2", "roles": ["visual"]}}
    for key, pixel_m in (
        ("B02_60m", 60),
        ("B02_10m", 10),
        ("B02_20m", 20),
        ("B8A_20m", 20),
        ("SCL_60m", 60),
        ("SCL_20m", 20),
    ):
        assets[key] = {"href": f"s3://eodata/{key}.jp2", "type": "image/jp2", "roles": ["data"], "gsd": pixel_m}
        assets[key] |= {} if "SCL" in key else {"raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0}
    properties = {"datetime": "2024-06-10T10:16:09.024Z", "processing:version": "05.10", "proj:code": "EPSG:32633"}
    item = {"id": "S2B_MSIL2A", "properties": properties, "assets": assets, "bbox": [13, 52, 14, 53]}
    area, config = Area((13.2, 52.4, 13.3, 52.5), "box"), SceneConfig(dates="2024")
    ((one,), notes) = choose([item], area, config, SENTINEL_2, ("B02", "B8A"), "here")
    assert {band: asset.href for band, asset in one.assets.items()} == {
        "B02": "s3://eodata/B02_10m.jp2",
        "B8A": "s3://eodata/B8A_20m.jp2",
        "clouds": "s3://eodata/SCL_20m.jp2",
    }
    assert one.assets["B02"][1:] == (1e-4, -0.1, 0.0) and (one.epsg, one.day, notes) == (32633, "2024-06-10", [])
