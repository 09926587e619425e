"""Spellings of Local Climate Zones: each of them names its zone, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compactnas.labels.classes import is_missing, lcz_of, lcz_of_folder
from compactnas.lcz import CLASSES

ZONES = st.integers(0, 16)
PREFIXES = ("", "LCZ ", "lcz_", "LCZ", "Lcz-", "LCZ: ", " LCZ  ")


@st.composite
def spellings(draw: st.DrawFn) -> tuple[int, object]:
    """A zone and one of its spellings."""
    zone = CLASSES[draw(ZONES)]
    codes: list[int | str] = [zone.number, *([zone.letter, 90 + zone.number] if zone.letter else [])]
    code = draw(st.sampled_from(codes))
    if isinstance(code, int) and draw(st.booleans()):
        return zone.number - 1, draw(st.sampled_from([code, float(code), np.int32(code), np.float64(code)]))
    joint = draw(st.sampled_from(["", "-", " "]))
    name = draw(st.sampled_from([zone.name, zone.name.replace("-", joint), zone.name.replace(" or ", " / ")]))
    text = draw(st.sampled_from([f"{code}", f"{code:02d}", f"{code}.0"] if isinstance(code, int) else [code]))
    text = draw(st.sampled_from([text, name, f"{text} - {name}", f"{text}: {name}", f"{text} ({name})"]))
    text = draw(st.sampled_from(PREFIXES)) + text + draw(st.sampled_from(["", " "]))
    return zone.number - 1, draw(st.sampled_from([text, text.upper(), text.lower()]))


@given(spellings())
def test_each_spelling_names_its_zone(spelling: tuple[int, object]) -> None:
    zone, value = spelling
    assert lcz_of(value) == zone
    assert lcz_of_folder(str(value)) == zone


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()))
def test_any_value_is_a_zone_or_not(value: object) -> None:
    zone = lcz_of(value)
    assert zone is None or 0 <= zone <= 16
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert (zone is not None) == (value in range(1, 18) or value in range(101, 108))
        assert lcz_of(str(value)) in (zone, None)


@pytest.mark.parametrize(
    "value",
    [0, 18, 100, 108, 2.5, True, "", "LCZ", "H", "-2", "LCZ 2 - Water", "2 or 3", "LCZ1a", "ROI", "1e1", "x" * 999],
)
def test_others_name_none(value: object) -> None:
    assert lcz_of(value) is None


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("LCZ 2 (old town)", 1),
        ("LCZ D, fields", 13),
        ("LCZ_107 lakes", 16),
        ("water", 16),
        ("LCZ areas", None),
        ("LCZ 22", None),
        ("A park", None),
        ("2 of them", None),
    ],
)
def test_a_folder_may_say_more(name: str, zone: int | None) -> None:
    assert lcz_of_folder(name) == zone


def test_what_is_empty() -> None:
    missing = [None, "", "  ", np.nan, float("nan"), np.datetime64("NaT")]
    assert all(map(is_missing, missing)) and not any(map(is_missing, [0, "0", 2.0, np.int8(1)]))
