"""A small STAC API on 127.0.0.1 for tests: search with pages, and files with ranges; it can be told to fail."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

# odc-geo 0.5.3 calls old names of shapely 2.2 and affine 3.0, which have newer ones.
OLD_CALLS = [
    pytest.mark.filterwarnings(r"ignore:The 'shapely.ops.transform\(\)' function is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul instead of `\\*` mul operator:PendingDeprecationWarning"),
]
"""Marks for tests that load with odc-stac."""

CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
]
PAGE = 2
"""Largest number of items of a page, whatever the client asks for: every search has several pages."""


@dataclass
class Catalogue:
    """What a server serves.

    Attributes:
        folder: Folder of the files.
        items: Items, whose `href`s are addresses or names of files.
        url: Address of the server, once it runs.
        broken: Part of a path -> number of requests that are answered before it fails with 500; 0 fails at once.
        asked: Number of requests by path.
        proxied: Whether a request came as to a proxy.
    """

    folder: Path
    items: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    broken: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def fails(self, path: str) -> bool:
        """Count a request, and tell whether to fail."""
        self.asked[path] += 1
        for part, allowed in self.broken.items():
            if part in path:
                self.broken[part] = allowed - 1
                return allowed <= 0
        return False

    def landing(self) -> dict[str, Any]:
        """Root of the API."""
        links = [
            {"rel": "self", "href": self.url},
            {"rel": "root", "href": self.url},
            {"rel": "data", "href": f"{self.url}/collections"},
            {"rel": "search", "href": f"{self.url}/search", "method": "POST", "type": "application/geo+json"},
            {"rel": "search", "href": f"{self.url}/search", "method": "GET", "type": "application/geo+json"},
        ]
        base = {"type": "Catalog", "id": "made", "stac_version": "1.0.0", "description": "Made cities"}
        return base | {"conformsTo": CONFORMS, "links": links}

    def search(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One page of the items that match collection, box and time."""
        left, bottom, right, top = asked["bbox"]
        first, last = (day[:10] for day in asked["datetime"].split("/"))
        found = [
            item
            for item in self.items
            if item["collection"] in asked["collections"]
            and first <= item["properties"]["datetime"][:10] <= last
            and item["bbox"][0] < right
            and left < item["bbox"][2]
            and item["bbox"][1] < top
            and bottom < item["bbox"][3]
        ]
        start = int(asked.get("token", 0))
        page = {"type": "FeatureCollection", "features": [self._sent(one) for one in found[start : start + PAGE]]}
        links = []
        if start + PAGE < len(found):
            body = asked | {"token": str(start + PAGE)}
            links = [{"rel": "next", "href": f"{self.url}/search", "method": "POST", "body": body}]
        return page | {"links": links}

    def _sent(self, item: dict[str, Any]) -> dict[str, Any]:
        sent = json.loads(json.dumps(item))
        sent["links"] = [{"rel": "self", "href": f"{self.url}/files/{item['id']}.json"}]
        return sent


@contextmanager
def served(catalogue: Catalogue) -> Iterator[Catalogue]:
    """Serve a catalogue on a free port of 127.0.0.1."""

    class Handler(_Handler):
        pass

    Handler.catalogue = catalogue
    server = _Server(("127.0.0.1", 0), Handler)
    catalogue.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield catalogue
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hangs up, as one does whose session is collected; a command's output is read."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    catalogue: Catalogue
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.catalogue.fails("/search"):
            self._send(500, b"{}")
        else:
            self._json(self.catalogue.search(content))

    def _answer(self, body: bool = True) -> None:
        parts = urlsplit(self.path)
        path, catalogue = parts.path.rstrip("/"), self.catalogue
        if catalogue.fails(path or "/"):
            self._send(500, b"{}" if body else b"")
        elif path == "":
            self._json(catalogue.landing())
        elif path == "/conformance":
            self._json({"conformsTo": CONFORMS})
        elif path == "/search":
            asked: dict[str, Any] = dict(parse_qsl(parts.query))
            asked["bbox"] = [float(value) for value in asked["bbox"].split(",")]
            self._json(catalogue.search(asked))
        elif path.startswith("/files/"):
            self._file(catalogue.folder / path.removeprefix("/files/"), body)
        else:
            self._send(404, b"{}" if body else b"")

    def _file(self, file: Path, body: bool) -> None:
        if not file.is_file():
            self._send(404, b"")
            return
        content, code, more = file.read_bytes(), 200, {"Accept-Ranges": "bytes"}
        size = len(content)
        if "Range" in self.headers:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            start, stop = int(first), min(size, int(last or size) + 1)
            if start >= size:
                self._send(416, b"", {"Content-Range": f"bytes */{size}"})
                return
            content, code = content[start:stop], 206
            more["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._send(code, content, more, body=body)

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, code: int, content: bytes, more: dict[str, str] | None = None, body: bool = True) -> None:
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(content))} | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)
