"""`benchmarks/waiting.py` compares checkouts of which some have the dense mode of maps."""

from __future__ import annotations

from pathlib import Path

import pytest
import waiting


def test_a_row_that_a_checkout_does_not_have_is_shown_as_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "COMMANDS", {row: waiting.COMMANDS[row] for row in ("map, exact", "map, dense")})
    older = tmp_path / "older" / waiting.OLDER["map, dense"]
    older.parent.mkdir(parents=True)
    older.touch()
    outputs: list[str] = []

    def run(self: waiting.Checkout, arguments: list[str]) -> float:
        outputs.extend(word for word in arguments if word.endswith("/out"))
        return 2.0

    monkeypatch.setattr(waiting.Checkout, "run", run)
    checkouts = [waiting.Checkout(tmp_path / name, tmp_path, tmp_path / "scene.tif") for name in ("older", "newer")]
    figures = waiting.measure(checkouts, rounds=2, draws=0)
    assert figures["map, exact"] == [2.0, 2.0] and figures["map, dense"] == [2.0, None]
    assert len(outputs) == len(set(outputs)) == 6  # a finished map is not overwritten
    assert waiting.table(("older", "newer"), figures).splitlines()[-1] == "| map, dense | 2.00 | - |"
