"""Scenes from a catalogue on 127.0.0.1 against plain numpy on the made cities behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.stac_items import BANDS, EPSG, KINDS, LEFT, TOP, V1, City, bounds_of, city, item_of, write_cog, write_item
from support.stac_scenes import plain_composite, read_scene
from support.stac_server import OLD_CALLS, Catalogue, served

from compactnas.catalogues.making import make_scene
from compactnas.cli import main

rasterio = pytest.importorskip("rasterio", reason="scenes need rasterio (the scene extra)")
pytest.importorskip("odc.stac", reason="scenes from catalogues need odc-stac (the scene extra)")
pytest.importorskip("pystac_client", reason="scenes from catalogues need pystac-client (the scene extra)")

pytestmark = OLD_CALLS

CLOUDS = (((2, 3, 20),), ((20, 20, 18), (5, 5, 4)), ((0, 30, 10), (30, 0, 9), (6, 6, 5)))
DAYS = ("2024-06-10", "2024-06-13", "2024-07-01")
BOX = ",".join(f"{value:.7f}" for value in bounds_of(45, 35, 905, 885))


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with served(Catalogue(tmp_path / "files")) as found:
        yield found


@pytest.fixture(autouse=True)
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that leads nowhere: this machine's own addresses must be reached without it."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def cities() -> list[City]:
    return [city(day, clouds=clouds) for day, clouds in enumerate(CLOUDS)]


def test_a_composite_is_the_median_of_the_clear_pixels(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, out = cities(), tmp_path / "berlin.tif"
    catalogue.items = [
        write_item(catalogue.folder, KINDS["earth search 1"], one, day, catalogue.url)
        for one, day in zip(made, DAYS, strict=True)
    ]
    words = ["scene", BOX, "--dates", "2024-05-01/2024-09-30", "--catalogue", catalogue.url, "-o", str(out)]
    assert main(words) == 0
    found, part = read_scene(out)
    expected = plain_composite(np.stack([one.reflectance for one in made]), np.stack([one.clear for one in made]))
    np.testing.assert_array_equal(found, expected[:, *part])
    assert (found.shape[0], found.dtype) == (10, np.uint16) and min(found.shape[1:]) >= 85
    assert (found == 0).all(axis=0).any(), "some pixel is under clouds on all days"
    said = capsys.readouterr()
    assert "median of 3 items on 3 days" in said.out
    assert "of the pixels have no clear observation on any of 3 days" in said.err
    with rasterio.open(out) as raster:
        assert raster.descriptions == BANDS and raster.nodata == 0 and raster.crs.to_epsg() == EPSG
        assert set(raster.scales) == {0.0001} and set(raster.offsets) == {0.0}
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["catalogue"] == catalogue.url and about["days"] == list(DAYS) and about["bands"] == list(BANDS)
    assert [one["id"] for one in about["items"]] == [f"S2B_33UUU_{day.replace('-', '')}_0_L2A" for day in DAYS]
    assert about["items"][0]["scale_and_offset"] == [[0.0001, -0.1]]
    assert about["items"][0]["offset_source"] == "declared by the asset"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["berlin.json", "berlin.tif", "files"]
    assert main(words) == 2 and "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_every_catalogue_gives_the_same_reflectance(kind: str, catalogue: Catalogue, tmp_path: Path) -> None:
    """The offset is taken once: not twice where a catalogue has taken it, and not left in where it has not."""
    one = city(3)
    catalogue.items = [write_item(catalogue.folder, KINDS[kind], one, DAYS[0], catalogue.url)]
    words = ["--dates", DAYS[0], "--catalogue", catalogue.url, "--collection", KINDS[kind].collection]
    assert main(["scene", BOX, *words, "--bands", "B04,B8A,B02", "-o", str(tmp_path / "a.tif")]) == 0
    found, part = read_scene(tmp_path / "a.tif")
    wanted = [BANDS.index(band) for band in ("B04", "B8A", "B02")]
    np.testing.assert_array_equal(found, one.reflectance[wanted][:, *part])


def test_items_of_two_baselines_are_mixed_without_a_step(catalogue: Catalogue, tmp_path: Path) -> None:
    one = city(3)
    kinds = ("planetary computer before 04.00", "planetary computer from 04.00")
    catalogue.items = [
        write_item(catalogue.folder, KINDS[kind], one, day, catalogue.url, name=f"item{day}")
        for kind, day in zip(kinds, DAYS, strict=False)
    ]
    words = ["--dates", "2024", "--catalogue", catalogue.url, "--composite", "mean", "-o", str(tmp_path / "a.tif")]
    assert main(["scene", BOX, *words]) == 0
    found, part = read_scene(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, one.reflectance[:, *part])


def test_a_day_is_one_observation_and_newer_processing_comes_first(catalogue: Catalogue, tmp_path: Path) -> None:
    """The same day twice, once reprocessed and with a hole: the old one fills the hole, and nothing else."""
    old, new, other = city(1), city(2), city(4)
    new.reflectance[:, :40] = 0  # the files hold 0, no data, there
    new.classes[:20] = 0
    kind = KINDS["planetary computer before 04.00"]
    catalogue.items = [
        write_item(catalogue.folder, kind, one, day, catalogue.url, name=name, **{"s2:processing_baseline": baseline})
        for one, day, name, baseline in (
            *((old, DAYS[0], "old", "02.12"), (new, DAYS[0], "new", "03.00"), (other, DAYS[1], "other", "03.00")),
        )
    ]
    words = ["--dates", "2024", "--catalogue", catalogue.url, "--bands", "B02,B05", "-o", str(tmp_path / "a.tif")]
    assert main(["scene", BOX, *words]) == 0
    first = np.where(np.arange(96)[:, None] < 40, old.reflectance, new.reflectance)
    both = np.stack([first, other.reflectance])[:, [0, 3]]
    found, part = read_scene(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, plain_composite(both, np.ones((2, 96, 96), bool))[:, *part])


def test_the_clearest_days_are_taken_and_the_rest_is_told(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [city(day) for day in range(4)]
    covers = (50.0, 5.0, 80.0, 10.0)
    catalogue.items = [
        write_item(
            *(catalogue.folder, KINDS["earth search 1"], one, f"2024-06-{10 + place}", catalogue.url),
            **{"eo:cloud_cover": cover},
        )
        for place, (one, cover) in enumerate(zip(made, covers, strict=True))
    ]
    words = ["--dates", "2024-06", "--catalogue", catalogue.url, "--bands", "blue", "--json", "--max-dates", "2"]
    assert main(["scene", BOX, *words, "-o", str(tmp_path / "a.tif")]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["days"] == ["2024-06-11", "2024-06-13"]
    assert "1 of 4 items left out: cloud cover above 60 %" in said.err
    assert "left out 1 days with more clouds than the others (--max-dates 2)" in said.err
    found, part = read_scene(tmp_path / "a.tif")
    expected = plain_composite(np.stack([made[1].reflectance[:1], made[3].reflectance[:1]]), np.ones((2, 96, 96), bool))
    np.testing.assert_array_equal(found, expected[:, *part])


def test_an_offset_that_was_removed_silently_is_doubted(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Earth Search has items that say that the offset is there still, although it is not."""
    kind = KINDS["earth search 1"]._replace(added=0)
    one = city(0)
    one.reflectance[:, 20:90, 20:90] //= 6
    catalogue.items = [write_item(catalogue.folder, kind, one, DAYS[0], catalogue.url)]
    words = ["--dates", "2024", "--catalogue", catalogue.url, "--bands", "B02"]
    assert main(["scene", BOX, *words, "-o", str(tmp_path / "a.tif")]) == 0
    assert "1 items have negative reflectance in more than 20 % of their pixels" in capsys.readouterr().err


def test_items_of_a_neighbouring_zone_are_warped(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole tile in the coordinates of zone 32: its pixels come out within one pixel of their place."""
    from rasterio.warp import transform_bounds

    one = city(0)
    left, bottom, right, top = transform_bounds("EPSG:32633", "EPSG:32632", LEFT, TOP - 960, LEFT + 960, TOP)
    place = rasterio.Affine(10, 0, left // 10 * 10, 0, -10, top // 10 * 10)
    height, width = (round((high - low) / 10) for low, high in ((bottom, top), (left, right)))
    assets = {}
    for key, value in {"B02": 1234, "SCL": 4}.items():
        numbers = np.full((height, width), value, np.uint16)
        write_cog(catalogue.folder / f"z32_{key}.tif", numbers, 10.0, crs="EPSG:32632", transform=place)
        assets[key] = {"href": f"z32_{key}.tif", "type": "image/tiff"}
    item = item_of("z32", "sentinel-2-l2a", DAYS[0], assets, 32632, {}, 960.0)
    catalogue.items = [item, write_item(catalogue.folder, KINDS["earth search 0"], one, DAYS[1], catalogue.url)]
    catalogue.items[1]["collection"] = "sentinel-2-l2a"
    box = ",".join(map(str, bounds_of(205, 205, 700, 700)))
    words = ["--dates", "2024", "--catalogue", catalogue.url, "--bands", "B02", "-o", str(tmp_path / "a.tif")]
    assert main(["scene", box, *words]) == 0
    assert "1 of 2 items lie in another coordinate system than EPSG:32633" in capsys.readouterr().err
    found, part = read_scene(tmp_path / "a.tif")
    both = np.stack([np.full((1, 96, 96), 1234), one.reflectance[:1]])
    np.testing.assert_array_equal(found, plain_composite(both, np.ones((2, 96, 96), bool))[:, *part])


def test_a_scene_is_read_by_prepare_and_map(catalogue: Catalogue, tmp_path: Path) -> None:
    from support.map_files import write_model

    one = city(0)
    catalogue.items = [write_item(catalogue.folder, KINDS["earth search 1"], one, DAYS[0], catalogue.url)]
    out = tmp_path / "city.tif"
    assert main(["scene", BOX, "--dates", "2024", "--catalogue", catalogue.url, "-o", str(out)]) == 0
    model = write_model(tmp_path / "run")
    assert main(["map", str(model), str(out), "-o", str(tmp_path / "map"), "--threads", "1"]) == 0
    with rasterio.open(out) as raster:
        profile = {"crs": raster.crs, "transform": raster.transform, "height": raster.height, "width": raster.width}
    with rasterio.open(tmp_path / "city_lcz.tif", "w", driver="GTiff", count=1, dtype="uint8", **profile) as labels:
        labels.write(np.full((profile["height"], profile["width"]), 2, np.uint8), 1)
    assert main(["prepare", str(out), str(tmp_path / "packed")]) == 0
    found, _ = read_scene(out)
    packed = np.load(tmp_path / "packed" / "images.npy") if (tmp_path / "packed" / "images.npy").exists() else None
    about = json.loads((tmp_path / "packed" / "manifest.json").read_text())
    assert about["bands"] == list(BANDS) and about["patches"] > 0
    assert packed is None or packed.max() <= found.max()


def test_blocks_join_without_a_seam(catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compactnas.catalogues import grid
    from compactnas.catalogues.config import SceneConfig
    from compactnas.catalogues.place import area_of

    made = cities()
    catalogue.items = [
        write_item(catalogue.folder, KINDS["earth search 1"], one, day, catalogue.url)
        for one, day in zip(made, DAYS, strict=True)
    ]
    monkeypatch.setattr(grid, "BLOCK_PX", (48,))
    seen: list[tuple[int, int]] = []
    config = SceneConfig(dates="2024", catalogue=catalogue.url, bands="B02,B11")
    make_scene(area_of(BOX), config, tmp_path / "a.tif", lambda *at: seen.append(at), print)
    found, part = read_scene(tmp_path / "a.tif")
    values, clear = np.stack([one.reflectance[[0, 8]] for one in made]), np.stack([one.clear for one in made])
    np.testing.assert_array_equal(found, plain_composite(values, clear)[:, *part])
    assert seen[0] == (0, 8) and seen[-1] == (8, 8) and len(V1) == 11
