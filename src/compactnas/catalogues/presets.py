"""Catalogues of satellite scenes (STAC APIs) that have a name; others are given by URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from compactnas.errors import UserError, suggestion


@dataclass(frozen=True)
class Catalogue:
    """A STAC API and what its files need.

    Attributes:
        name: Name of the preset, or the URL.
        url: Address of the API.
        collection: Collection that is searched by default.
        other: Collection to suggest if the default one has nothing; may be empty.
        tokens: Address that gives access tokens for the files, without account and container; empty if none is needed.
        keys: Environment variables with the keys to the files.
        keys_from: Web page where users get these keys.
        gdal: GDAL options for the files, by name.
    """

    name: str
    url: str
    collection: str = "sentinel-2-l2a"
    other: str = ""
    tokens: str = ""
    keys: tuple[str, ...] = ()
    keys_from: str = ""
    gdal: tuple[tuple[str, str], ...] = ()


PRESETS = {
    catalogue.name: catalogue
    for catalogue in (
        # In `sentinel-2-l2a`, `earthsearch:boa_offset_applied` is wrong for some items (Element84/earth-search 66, 71).
        Catalogue("earth-search", "https://earth-search.aws.element84.com/v1", "sentinel-2-c1-l2a", "sentinel-2-l2a"),
        Catalogue(
            "planetary-computer",
            "https://planetarycomputer.microsoft.com/api/stac/v1",
            tokens="https://planetarycomputer.microsoft.com/api/sas/v1/token",
        ),
        Catalogue(
            "copernicus",
            "https://stac.dataspace.copernicus.eu/v1",
            keys=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            keys_from="https://eodata-s3keysmanager.dataspace.copernicus.eu",
            gdal=(("AWS_S3_ENDPOINT", "eodata.dataspace.copernicus.eu"), ("AWS_VIRTUAL_HOSTING", "FALSE")),
        ),
    )
}


def catalogue_of(text: str) -> Catalogue:
    """Find the catalogue of a name or URL.

    Raises:
        UserError: The text is neither.
    """
    if text in PRESETS:
        return PRESETS[text]
    address = urlsplit(text)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UserError(f"--catalogue: {text!r} is no URL and no known name; {suggestion(text, tuple(PRESETS))}")
    if address.username or address.password:
        raise UserError("--catalogue: the URL holds a password, which would be written to NAME.json; leave it out")
    url = text.rstrip("/")
    return next((preset for preset in PRESETS.values() if preset.url == url), Catalogue(url, url))
