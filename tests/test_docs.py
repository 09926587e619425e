"""What the documentation shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import compactnas


def test_every_public_name_is_there() -> None:
    for name in compactnas.__all__:
        assert getattr(compactnas, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = compactnas.nothing_such


def test_the_python_page_runs_from_top_to_bottom(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "docs" / "python.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 5
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile("\n".join(blocks), "docs/python.md", "exec"), names)  # our own page
    assert (tmp_path / "example" / "run" / "evaluation.json").exists()
    assert list(names["logits"].shape) == [8, 17]  # type: ignore[attr-defined]
