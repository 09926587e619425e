"""Tables as JSON lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from compactnas.errors import UserError
from compactnas.io.jsonl import read_rows, read_valid_rows, write_rows

ROWS = [{"epoch": 1, "loss": 0.5, "depths": [1, 2]}, {"epoch": 2, "loss": None, "name": "Z\u00fcrich\u2028"}]


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "rows.jsonl"
    write_rows(file, ROWS)
    assert len(file.read_bytes().splitlines()) == 2
    assert read_rows(file, "") == ROWS
    assert read_valid_rows(file, "") == (ROWS, 0)
    write_rows(file, [])
    assert read_rows(file, "") == [] and file.read_bytes() == b""


@pytest.mark.parametrize(
    "line", ["", "{", "[1]", "2", "null", '{"a": 1} x', '{"a": 1234567890123456789012}', "[" * 10**5]
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"a": 1}}\n{line}\n{{"a": 3}}\n')
    with pytest.raises(UserError, match=r"rows\.jsonl: line 2 is not a JSON object \(.*\); search again"):
        read_rows(file, "search again")
    assert read_valid_rows(file, "") == ([{"a": 1}, {"a": 3}], 1)


def test_what_is_no_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    with pytest.raises(UserError, match=r"rows\.jsonl: No such file.*; search again"):
        read_rows(file, "search again")
    file.write_bytes(b'{"a": 1}\n\xff\n')
    with pytest.raises(UserError, match=r"rows\.jsonl: not text in UTF-8.*; search again"):
        read_rows(file, "search again")
    assert read_valid_rows(file, "") == ([{"a": 1}], 1)
