"""Access tokens, and the catalogues that are known by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from compactnas.catalogues.presets import PRESETS, catalogue_of
from compactnas.catalogues.signing import Signer
from compactnas.errors import UserError

FILE = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/33/U/B02.tif"


def server(hours: float, asked: list[str]) -> Callable[[str], str]:
    def answer(url: str) -> str:
        asked.append(url)
        until = datetime.now(UTC) + timedelta(hours=hours)
        return f'{{"token": "sig={len(asked)}", "msft:expiry": "{until.isoformat()}"}}'

    return answer


def test_a_token_is_fetched_once_for_a_container_and_again_when_it_expires() -> None:
    asked: list[str] = []
    signer = Signer("https://here/token", server(1, asked))
    assert [signer.signed(FILE) for _ in range(3)] == [f"{FILE}?sig=1"] * 3
    assert asked == ["https://here/token/sentinel2l2a01/sentinel2-l2"]
    assert signer.signed(FILE.replace("sentinel2-l2", "other")).endswith("?sig=2")
    signer = Signer("https://here/token", server(0.01, asked))
    assert [signer.signed(FILE)[-5:] for _ in range(2)] == ["sig=3", "sig=4"]


def test_files_elsewhere_are_left_as_they_are() -> None:
    asked: list[str] = []
    signer = Signer("https://here/token", server(1, asked))
    for href in ("https://example.org/a.tif", f"{FILE}?sv=1", "https://evil.example/?.blob.core.windows.net"):
        assert signer.signed(href) == href
    assert Signer("", server(1, asked)).signed(FILE) == FILE
    assert asked == []


@pytest.mark.parametrize("answer", ["", "[]", '{"token": 3, "msft:expiry": "2030-01-01T00:00:00Z"}', '{"token": "a"}'])
def test_an_answer_without_a_token_is_one_line(answer: str) -> None:
    with pytest.raises(UserError, match="gives no access token"):
        Signer("https://here/token", lambda _: answer).signed(FILE)


def test_catalogues_are_found_by_name_and_by_url() -> None:
    assert catalogue_of("copernicus") is PRESETS["copernicus"]
    assert catalogue_of("https://planetarycomputer.microsoft.com/api/stac/v1/") is PRESETS["planetary-computer"]
    assert catalogue_of("http://127.0.0.1:8000/").url == "http://127.0.0.1:8000"
    for text, message in (
        ("earthsearch", "did you mean 'earth-search'"),
        ("file:///etc/passwd", "is no URL"),
        ("https://me:secret@example.org", "holds a password"),
    ):
        with pytest.raises(UserError, match=message) as error:
            catalogue_of(text)
        assert "secret" not in str(error.value)
