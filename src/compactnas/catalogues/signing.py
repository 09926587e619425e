"""Access tokens for files of the Planetary Computer, fetched once for each container and again before they expire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from urllib.parse import urlsplit

from compactnas.errors import UserError
from compactnas.io.untrusted import parse_json

HOSTS = ".blob.core.windows.net"
"""Suffix of the hosts whose files need a token."""
EARLY = timedelta(minutes=5)
"""A token is renewed this long before it expires."""


class Signer:
    """Adds access tokens to addresses; may be used by several threads.

    Args:
        tokens: Address that gives the token of `/ACCOUNT/CONTAINER`; if empty, addresses are unchanged.
        fetch: Function from an address to the text of the answer.
    """

    def __init__(self, tokens: str, fetch: Callable[[str], str]) -> None:
        self._tokens, self._fetch = tokens, fetch
        self._known: dict[str, tuple[str, datetime]] = {}
        self._lock = Lock()

    def signed(self, href: str) -> str:
        """Return an address with its token, if its host needs one.

        Raises:
            UserError: The token cannot be fetched.
        """
        parts = urlsplit(href)
        host = parts.hostname or ""
        if not self._tokens or not host.endswith(HOSTS) or parts.query:
            return href
        place = f"{host.removesuffix(HOSTS)}/{parts.path.strip('/').partition('/')[0]}"
        with self._lock:
            known = self._known.get(place)
            if known is None or datetime.now(UTC) > known[1] - EARLY:
                known = self._known[place] = self._new(place)
        return f"{href}?{known[0]}"

    def _new(self, place: str) -> tuple[str, datetime]:
        text = self._fetch(f"{self._tokens}/{place}")
        try:
            answer = parse_json(text)
            until = datetime.fromisoformat(answer["msft:expiry"])
            token = answer["token"]
            if not isinstance(token, str) or not token.isprintable() or until.tzinfo is None:
                raise ValueError("no token")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._tokens}/{place}: gives no access token ({error}); try again later") from error
        return token, until
