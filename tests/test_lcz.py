"""The facts of the 17 classes against each other and, where they lie beside the repository, against their tables."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

from compactnas import lcz


def test_seventeen_classes_in_order() -> None:
    assert [c.number for c in lcz.CLASSES] == list(range(1, 18))
    assert "".join(c.letter for c in lcz.CLASSES) == "ABCDEFG"
    assert [c.group for c in lcz.CLASSES] == ["built"] * lcz.BUILT + ["natural"] * 7
    assert lcz.CLASSES[lcz.BARE_ROCK].label == "E" and lcz.CLASSES[0].label == "1"
    assert len(set(lcz.NAMES)) == 17 and lcz.NAMES[0] == "Compact high-rise"


def test_colours_are_hex_and_distinct() -> None:
    for colours in ([c.colour for c in lcz.CLASSES], [c.colourblind for c in lcz.CLASSES]):
        assert all(re.fullmatch(r"#[0-9A-F]{6}", colour) for colour in colours)
        assert len(set(colours)) == 17


def test_similarity_is_a_similarity() -> None:
    for i, row in enumerate(lcz.SIMILARITY):
        assert len(row) == 17 and row[i] == 12
        assert all(0 <= w < 12 for j, w in enumerate(row) if j != i), "only a class itself is fully similar"
        assert all(w == lcz.SIMILARITY[j][i] for j, w in enumerate(row))


def test_so2sat_counts_sum_to_the_published_sizes() -> None:
    assert {part: sum(counts) for part, counts in lcz.SO2SAT_COUNTS.items()} == {
        "train": 352_366,
        "validation": 24_119,
        "test": 24_188,
    }
    assert all(len(counts) == 17 for counts in lcz.SO2SAT_COUNTS.values())


def test_equals_the_reference_tables(shared: Path) -> None:
    with (shared / "reference" / "lcz_classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for c, row in zip(lcz.CLASSES, rows, strict=True):
        assert [str(c.number), c.letter, c.name, c.group, c.colour, c.colourblind] == [
            row[key] for key in ("lcz", "letter", "name", "group", "wudapt_colour", "colourblind_colour")
        ]
        for part, counts in lcz.SO2SAT_COUNTS.items():
            assert counts[c.number - 1] == int(row[f"so2sat_{part}"])
    with (shared / "reference" / "lcz_similarity_twelfths.csv").open(encoding="utf-8", newline="") as file:
        assert tuple(tuple(int(v) for v in row) for row in csv.reader(file)) == lcz.SIMILARITY


def test_needs_no_torch() -> None:
    code = "import sys, compactnas.lcz; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
