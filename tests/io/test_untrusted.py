"""Nesting of JSON, found in its text: the depth of the values that it stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compactnas.io.untrusted import MOST_DEPTH, parse_json, require_shallow

NASTY = st.text(alphabet='[]{}"\\a\n', max_size=12)
NASTY_TEXT = '"[{\\'


def depth(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


@given(st.recursive(NASTY, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NASTY, inner, max_size=4)))
@pytest.mark.parametrize("most", [MOST_DEPTH, MOST_DEPTH + 1])
def test_the_depth_of_a_text_is_that_of_its_values(most: int, value: Any) -> None:
    for _ in range(most - depth(value)):
        value = [value, NASTY_TEXT]
    if most > MOST_DEPTH:
        with pytest.raises(ValueError, match="it is nested too deeply"):
            parse_json(json.dumps(value))
    else:
        assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", ['"' * 10**6, '"' + '\\"' * 10**6, '"' + "\\" * 10**6, '"' + "[" * 10**6])
def test_a_string_without_end_takes_one_pass(text: str) -> None:
    require_shallow(text)  # to start again at each quotation mark would take hours
    with pytest.raises(json.JSONDecodeError):
        parse_json(text)
