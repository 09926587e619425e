"""Spellings of Local Climate Zones (LCZ) in label files."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from compactnas.lcz import BUILT, NAMES

LETTERS = {letter: BUILT + 1 + place for place, letter in enumerate("ABCDEFG")}
NATURAL = 100
"""WUDAPT and GeoClimate also write A to G as 101 to 107."""
CODE = r"(?P<code>0{0,2}\d{1,3}(?:\.0+)?|[A-G])"
LCZ = r"LCZ[\s_:#-]*"
EXACT = re.compile(rf"(?:{LCZ})?{CODE}(?:[\s:.,;(_-]+(?P<rest>.+))?", re.IGNORECASE)
FOLDER = re.compile(rf"{LCZ}{CODE}(?![^\W_]).*", re.IGNORECASE)
LONGEST = 100
"""Maximum length of a class in characters."""


def lcz_of(value: object) -> int | None:
    """Return the index (0 to 16) of a Local Climate Zone.

    A zone is a number 1 to 17, a letter A to G, 101 to 107 for A to G, or its name, with or without "LCZ" in front:
    `2`, `"14.0"`, `"LCZ D"`, `"lcz_2"`, `"Compact midrise"`, `"LCZ 2 - compact mid-rise"`.

    Args:
        value: Number or text.

    Returns:
        The index, or None for any other value.
    """
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | float | np.number):
        return _index(int(value)) if 1 <= value < 2 * NATURAL and value == int(value) else None
    text = str(value).strip()
    return _of_text(text) if len(text) <= LONGEST else None


@lru_cache(4096)
def _of_text(text: str) -> int | None:
    name = NAMED.get(_plain(re.sub(rf"^{LCZ}", "", text, flags=re.IGNORECASE)))
    if name is not None:
        return name
    found = EXACT.fullmatch(text)
    if found is None:
        return None
    zone = _of_code(found["code"])
    rest = found["rest"]
    return zone if rest is None or NAMED.get(_plain(rest), -1) == zone else None


def lcz_of_folder(name: str) -> int | None:
    """Return the index of the zone that a folder is named after: as a value, or `LCZ 2` and any text after it."""
    zone = lcz_of(name)
    if zone is not None:
        return zone
    found = FOLDER.fullmatch(name.strip()) if len(name) <= LONGEST else None
    return _of_code(found["code"]) if found else None


def is_missing(value: object) -> bool:
    """Check whether a field of a feature is empty."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or not str(value).strip() or str(value) == "NaT"


def _of_code(code: str) -> int | None:
    return _index(LETTERS.get(code.upper()) or int(float(code)))


def _index(number: int) -> int | None:
    number -= NATURAL - BUILT if NATURAL < number <= NATURAL + len(LETTERS) else 0
    return number - 1 if 1 <= number <= len(NAMES) else None


def _plain(name: str) -> str:
    """Reduce a name to its letters: `Bare rock or paved` and `bare rock / paved` are the same."""
    return re.sub(r"[\W_]+", "", re.sub(r"\b(?:or|and)\b", "", name.lower()))


NAMED = {_plain(name): place for place, name in enumerate(NAMES)}
