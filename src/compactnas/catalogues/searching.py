"""Search a catalogue (STAC API) for the items of a place and a season."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

from compactnas.catalogues.http import fetch, host_of, new_session
from compactnas.catalogues.place import Area
from compactnas.catalogues.presets import Catalogue
from compactnas.errors import UserError
from compactnas.io.untrusted import require_shallow

MOST_ITEMS = 2000
"""Largest number of items of a search: five years of one Sentinel-2 tile."""
PAGE = 100


def search(catalogue: Catalogue, collection: str, area: Area, dates: str) -> list[dict[str, Any]]:
    """Find the items of a collection that touch an area, in the order of the catalogue.

    Args:
        catalogue: Catalogue to search.
        collection: Id of the collection.
        area: Place.
        dates: First and last day, as in 2024-05-01/2024-09-30.

    Raises:
        UserError: The catalogue cannot be reached or searched, or has too many items.
    """
    host = host_of(catalogue.url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a catalogue that conforms to less is refused below
            items = list(islice(_items(catalogue, collection, area, dates), MOST_ITEMS + 1))
    except UserError:
        raise
    except Exception as error:  # whatever pystac-client raises on a malformed answer
        text = " ".join(str(error).split())[:160] or type(error).__name__
        raise UserError(
            f"{host}: its answer is not that of a STAC API ({text}); check the URL of the catalogue"
        ) from error
    if len(items) > MOST_ITEMS:
        raise UserError(f"{host}: has more than {MOST_ITEMS} items of this place and season; shorten --dates")
    return items


def _items(catalogue: Catalogue, collection: str, area: Area, dates: str) -> Iterator[dict[str, Any]]:
    from pystac_client import Client

    client = Client.open(catalogue.url, stac_io=_bounded_io())
    if not client.conforms_to("ITEM_SEARCH"):
        raise UserError(f"{host_of(catalogue.url)}: is no STAC API with item search; check the URL of the catalogue")
    found = client.search(collections=[collection], bbox=list(area.bounds), datetime=dates, limit=PAGE)
    yield from found.items_as_dicts()


def _bounded_io() -> Any:
    """Make the input and output of pystac-client, with the limits of `fetch`."""
    from pystac.link import Link
    from pystac_client.stac_api_io import StacApiIO

    class BoundedIO(StacApiIO):
        def __init__(self) -> None:
            super().__init__()
            self.session = new_session()

        def read_text(self, source: Any, *more: Any, **options: Any) -> str:
            if not isinstance(source, Link):
                host_of(str(source))  # the parent would open a local file
            return super().read_text(source, *more, **options)

        def request(
            self,
            href: str,
            method: str | None = None,
            headers: dict[str, str] | None = None,
            parameters: dict[str, Any] | None = None,
        ) -> str:
            posted = (method or "GET").upper() == "POST"
            content = {"json": parameters} if posted else {"params": parameters}
            text = fetch(self.session, href, "POST" if posted else "GET", headers=headers, **content)
            require_shallow(text)
            return text

    return BoundedIO()
