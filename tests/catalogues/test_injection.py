"""Ids, titles and properties of catalogue items that try to run code: into a scene, its files, a map and a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.browser import headless
from support.injection import HOST, NAMES, assert_inert, on_page
from support.map_files import job, write_model
from support.stac_items import KINDS, city, write_item
from support.stac_scenes import refused, words
from support.stac_server import OLD_CALLS, Catalogue, served

from compactnas.cli import main
from compactnas.mapping.config import MapConfig, Outputs
from compactnas.mapping.mapping import make_map

rasterio = pytest.importorskip("rasterio", reason="scenes need rasterio (the scene extra)")
pytest.importorskip("odc.stac", reason="scenes from catalogues need odc-stac (the scene extra)")
pytest.importorskip("pystac_client", reason="scenes from catalogues need pystac-client (the scene extra)")
pytestmark = OLD_CALLS

PROPERTIES = {"title": NAMES[0], "description": NAMES[3], "platform": f"sentinel-2b {NAMES[1]}", "mission": NAMES[6]}
BANDS = ("B02", "B05")


def hostile(catalogue: Catalogue, name: str, day: int) -> dict[str, Any]:
    """An item of a day whose id, titles, keys and links are such names."""
    made = write_item(catalogue.folder, KINDS["earth search 1"], city(day, 80), f"2024-06-{day + 1:02}", catalogue.url)
    made["id"], made["title"] = name, NAMES[0]
    made["properties"] |= PROPERTIES | {"created": name, name: name}
    for asset in made["assets"].values():
        asset |= {"title": NAMES[1], "description": name, "eo:bands": [{"name": NAMES[5]}]}
    made["assets"][name] = {"href": f"{HOST}/asset.tif", "type": name, "title": name}
    made["links"] = [{"rel": "license", "href": HOST, "title": name}, {"rel": name, "href": f"javascript:{name}"}]
    return made


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of a day for each name."""
    folder = tmp_path_factory.mktemp("injected")
    with served(Catalogue(folder / "files")) as catalogue:
        catalogue.items = [hostile(catalogue, name, day) for day, name in enumerate(NAMES)]
        assert main(words(catalogue, folder / "city.tif")) == 0
    return folder / "city.tif"


def test_the_items_of_a_scene(scene: Path) -> None:
    about = json.loads(scene.with_suffix(".json").read_text())
    assert sorted(item["id"] for item in about["items"]) == sorted(NAMES)
    rest = json.dumps({key: value for key, value in about.items() if key != "items"})
    assert HOST not in rest and "sprung" not in rest
    keys = {"id", "datetime", "day", "cloud_cover", "scale_and_offset", "offset_source"}
    assert all(item.keys() == keys for item in about["items"])


def test_the_tags_of_a_scene(scene: Path) -> None:
    with rasterio.open(scene) as raster:
        assert raster.descriptions == BANDS
        tags = [raster.tags(number) for number in range(3)]
        tags += [raster.tags(ns=space) for space in raster.tag_namespaces() if space != "DERIVED_SUBDATASETS"]
    text = json.dumps(tags)
    assert "sprung" not in text and "injected" not in text and "\\u001b" not in text
    assert sorted(path.name for path in scene.parent.iterdir()) == ["city.json", "city.tif", "files"]


def test_the_page_of_its_map(scene: Path, tmp_path: Path) -> None:
    def ignore(*_: object) -> None: ...

    model = write_model(tmp_path / "run", BANDS, lcz=False)
    make_map(job(model, scene, config=MapConfig(stride_px=16)), tmp_path / "map", Outputs(name="city"), ignore, ignore)
    with headless() as browser:
        text = assert_inert(browser, tmp_path / "map" / "city.html", texts=False)
    assert "sprung" not in text and "injected" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_message_about_an_item(name: str, catalogue: Catalogue, tmp_path: Path, capsys: Any) -> None:
    """An id in a message is one line of characters that can be shown."""
    catalogue.items = catalogue.items[:1]
    catalogue.items[0] |= {"id": name}
    catalogue.items[0]["assets"]["blue"]["href"] = "file:///etc/passwd"
    said = refused(capsys, words(catalogue, tmp_path / "a.tif"))
    assert said.isprintable() and on_page(name) in on_page(said)
