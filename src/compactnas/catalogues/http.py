"""Send requests to a catalogue over HTTP, with retries and limits; addresses of this machine bypass proxies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from compactnas.errors import UserError
from compactnas.io.untrusted import parse_json

if TYPE_CHECKING:
    from requests import Response, Session

RETRIES = 4
BACKOFF_S = 0.5
"""Wait before the second retry; each further one waits twice as long."""
TIMEOUT_S = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes of an answer."""
MOST_BYTES = 64 * 2**20
"""Largest answer in bytes; a page of 100 items takes a few megabytes."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TEMPORARY = (429, 500, 502, 503, 504)
"""Status codes that are worth another try."""


@contextmanager
def loopback_without_proxy() -> Iterator[None]:
    """Reach this machine's own addresses without a proxy, whatever the environment says; for requests and for GDAL."""
    names = ("no_proxy", "NO_PROXY")
    before = {name: os.environ.get(name) for name in names}
    known = [host for value in before.values() if value for host in value.split(",")]
    hosts = ",".join(dict.fromkeys([*known, *LOOPBACK]))
    os.environ.update(dict.fromkeys(names, hosts))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence log lines of libraries about retries and errors: each error is raised and shown once."""
    loggers = [logging.getLogger(name) for name in ("rasterio", "urllib3", "odc", "pystac_client")]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


def new_session() -> Session:
    """Make a session that retries temporary errors."""
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(
        total=RETRIES,
        backoff_factor=BACKOFF_S,
        status_forcelist=TEMPORARY,
        allowed_methods=None,  # a search by POST changes nothing, so it may be repeated
        raise_on_status=False,
        respect_retry_after_header=False,  # a server could ask for a day
    )
    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.headers["User-Agent"] = "compactnas"
    return session


def fetch(session: Session, url: str, method: str = "GET", **content: Any) -> str:
    """Send a request and return the text of the answer.

    Args:
        session: Session of `new_session`.
        url: Address.
        method: GET or POST.
        content: `params`, `json` and `headers` of the request.

    Raises:
        UserError: The address is not of HTTP, the server cannot be reached, or its answer is an error or too large.
    """
    import requests

    host = host_of(url)
    try:
        with session.request(method, url, stream=True, timeout=TIMEOUT_S, **content) as response:
            _require_success(response, host)
            found = bytearray()
            for chunk in response.iter_content(2**16):
                found += chunk
                if len(found) > MOST_BYTES:
                    raise UserError(f"{host}: an answer is larger than {MOST_BYTES / 2**20:g} MiB; shorten --dates")
            return found.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{host}: an answer is not text in UTF-8; check the URL of the catalogue") from error
    except requests.RequestException as error:
        raise UserError(f"{host}: {_reason(error)}") from error


def host_of(url: str) -> str:
    """Return the host of a URL, with its port.

    Raises:
        UserError: The URL is not of HTTP: a catalogue must not make this program open local files.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UserError(f"the catalogue refers to {url[:80]!r}, which is no address of HTTP; use another catalogue")
    return parts.netloc.rpartition("@")[2]


def _require_success(response: Response, host: str) -> None:
    code = response.status_code
    if 200 <= code < 300:
        return
    if code in TEMPORARY:
        raise UserError(f"{host}: answers with HTTP {code}, {RETRIES + 1} times; try again later")
    hint = {
        400: "it does not accept the search; check --collection and --dates",
        401: "it asks for a login, which is not supported; use another catalogue",
        403: "it denies access; use another catalogue",
        404: "check the URL of the catalogue and --collection",
    }.get(code, "check the URL of the catalogue")
    raise UserError(f"{host}: answers with HTTP {code}{_said(response)}; {hint}")


def _said(response: Response) -> str:
    """Return the server's own words about an error, if it is short JSON."""
    try:
        found = parse_json(response.raw.read(4096, decode_content=True).decode("utf-8"))
    except (ValueError, OSError):
        return ""
    if not isinstance(found, dict):
        return ""
    words = next((found[key] for key in ("description", "detail", "message") if key in found), "")
    return f" ({' '.join(words.split())[:120]})" if isinstance(words, str) and words else ""


def _reason(error: Exception) -> str:
    import requests

    text = str(error)
    if "NameResolutionError" in text or "name resolution" in text.lower() or "getaddrinfo" in text:
        return "the name of the host cannot be resolved; check the network and the URL of the catalogue"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection (TLS); check the network, or the proxy"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {TIMEOUT_S[1]:g} s; try again later"
    if "refused" in text:
        return "refuses the connection; check the URL of the catalogue"
    return f"the connection failed ({' '.join(text.split())[:160]}); check the network and try again"
