"""Answers of a catalogue (STAC API): valid ones, and a search that gets them from files instead of a network."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from compactnas.catalogues import searching
from compactnas.catalogues.config import SceneConfig
from compactnas.catalogues.items import choose
from compactnas.catalogues.making import _grid, _zones
from compactnas.catalogues.place import area_of
from compactnas.catalogues.presets import Catalogue
from compactnas.catalogues.sensors import sensor_of
from support.stac_items import BANDS, EPSG, KINDS, LEFT, TOP, V1, item_of

Files = dict[str, bytes]
URL = "http://catalogue.test/v1"
COLLECTION = "sentinel-2-l2a"
PLACE = "13.54,52.50,13.56,52.51"
CONFIG = SceneConfig(dates="2024-06", bands="B02,B03,B04")


def _item(kind: str, number: int, names: dict[str, str]) -> dict[str, Any]:
    assets = {
        names.get(band, band): {
            "href": f"{URL}/files/{number}_{band}.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
            "gsd": 10,
            "eo:bands": [{"name": band, "center_wavelength": 0.5}],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1, "spatial_resolution": 10}],
            "proj:transform": [10, 0, LEFT, 0, -10, TOP],
            "proj:shape": [10980, 10980],
        }
        for band in (*BANDS[:4], "SCL")
    }
    name = f"S2B_33UUU_202406{number:02}_0_L2A"
    return item_of(name, COLLECTION, f"2024-06-{number:02}", assets, EPSG, KINDS[kind].properties, 20_000.0)


def answers(folder: Path) -> list[Files]:
    """Landing page, pages of items, and what the server says around them."""
    links = [
        {"rel": "self", "href": URL},
        {"rel": "root", "href": URL},
        {"rel": "search", "href": f"{URL}/search", "type": "application/geo+json", "method": "POST"},
        {"rel": "data", "href": f"{URL}/collections"},
    ]
    conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
    landing = {"type": "Catalog", "stac_version": "1.0.0", "id": "made", "description": "made"}
    landing |= {"conformsTo": conforms, "links": links}
    onward = {"rel": "next", "href": f"{URL}/search?page=2", "method": "GET"}
    pages = [
        {"type": "FeatureCollection", "features": [_item(kind, 1 + place, names)], "links": more}
        for place, (kind, names, more) in enumerate(
            (("earth search 1", V1, [onward]), ("planetary computer from 04.00", {}, []))
        )
    ]
    head = {"status": 200, "headers": {"Content-Type": "application/json"}}
    again = {"links": [onward | {"method": "POST", "body": {"token": "next"}, "merge": True}]}
    files = {"landing.json": landing, "page1.json": pages[0], "page2.json": pages[1], "head.json": head}
    return [
        {name: json.dumps(content).encode() for name, content in (files | changed).items()}
        for changed in ({}, {"page1.json": pages[1] | again, "page2.json": pages[0] | {"links": []}})
    ]


def _items(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def items(folder: Path) -> list[Files]:
    """Items of two catalogues, without a search."""
    made = [_item("earth search 1", 1, V1), _item("planetary computer before 04.00", 2, {})]
    return [{"items.json": json.dumps(made).encode()}, {"items.json": json.dumps(made[::-1]).encode()}]


def read_items(folder: Path) -> None:
    """Choose items of any JSON, as a search gives it."""
    from compactnas.io.atomic import read_json

    _choose(_items(read_json(folder / "items.json", "search again")))


def _choose(found: list[Any]) -> None:
    area, sensor = area_of(PLACE), sensor_of(COLLECTION)
    chosen = choose(found, area, CONFIG, sensor, CONFIG.band_names, "made")
    _zones(chosen.observations, _grid(chosen.observations, area, 10.0, 3))
    json.dumps([one._asdict() for one in chosen.observations[0].assets.values()])


def read_answers(folder: Path) -> None:
    """Search a catalogue that answers with the files of a folder, and choose items."""
    with patch.object(searching, "new_session", lambda: _session(folder)):
        found = searching.search(Catalogue("made", URL), COLLECTION, area_of(PLACE), "2024-06-01/2024-06-30")
    _choose(list(found))


def _session(folder: Path) -> Any:
    from requests import Response, Session
    from requests.adapters import BaseAdapter
    from urllib3 import HTTPResponse

    status, headers = _head(folder / "head.json")

    class Answers(BaseAdapter):
        """Files in place of a network."""

        def send(self, request: Any, *_: Any, **__: Any) -> Response:
            name = "landing.json" if "search" not in request.url else "page1.json"
            if "page" in request.url or b"token" in (request.body or b""):
                name = "page2.json"
            file = folder / name
            body = BytesIO(file.read_bytes() if file.exists() else b"")
            answer = Response()
            answer.raw = HTTPResponse(body, headers=headers, status=status, preload_content=False)
            answer.status_code, answer.url, answer.request = status, request.url, request
            answer.headers.update(headers)
            return answer

        def close(self) -> None: ...

    session = Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, Answers())
    return session


def _head(file: Path) -> tuple[int, dict[str, str]]:
    """Status and headers of all answers; what HTTP itself could not carry is left out."""
    try:
        raw = json.loads(file.read_bytes())
        status, headers = raw["status"], raw["headers"]
        plain = {name: value for name, value in headers.items() if isinstance(value, str) and value.isprintable()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return 200, {}
    fits = isinstance(status, int) and not isinstance(status, bool) and 100 <= status < 600
    return (status if fits else 200), plain
