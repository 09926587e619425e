"""A catalogue with two days of a city, for tests of what goes wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.stac_items import KINDS, city, write_item
from support.stac_scenes import DAYS
from support.stac_server import Catalogue, served


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """Two days of a city; tests put back what they change."""
    with served(Catalogue(tmp_path_factory.mktemp("files"))) as found:
        found.items = [
            write_item(found.folder, KINDS["earth search 1"], city(place, 80, ((4, 4, 9),)), day, found.url)
            for place, day in enumerate(DAYS)
        ]
        yield found


@pytest.fixture
def catalogue(made: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """The catalogue as it was made, asked without long waits."""
    monkeypatch.setattr("compactnas.catalogues.http.BACKOFF_S", 0.01)
    items = json.dumps(made.items)
    yield made
    made.items = json.loads(items)
    made.broken.clear()
