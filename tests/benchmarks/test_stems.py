"""The benchmark of stems: the same networks with both, and a table of pairs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import stems
import torch
from layouts import draw
from torch import nn

from compactnas.nn.network import Network
from compactnas.nn.norms import HalfInstanceNorm
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS


def line(stem: str, number: int, oa: float) -> dict[str, Any]:
    return {"name": f"{stem} {number}", "stem": stem, "number": number, "oa": oa}


def test_both_stems_are_trained_with_the_same_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built: list[tuple[Genotype, nn.Module]] = []

    def train(config: object, folder: object, genotype: Genotype, **_: object) -> None:
        with torch.device("meta"):
            built.append((genotype, Network(genotype, 3, 10).backbone.stem[1]))

    monkeypatch.setattr(stems, "train_stage", train)
    monkeypatch.setattr(stems, "evaluate_stage", MagicMock())
    monkeypatch.setattr(stems, "divide", lambda *_: ({}, (), None))
    monkeypatch.setattr(stems, "Dataset", MagicMock())
    options = argparse.Namespace(data=tmp_path, out=tmp_path, patches=8, epochs=1, precision="32-true")
    names = [stems.measure(MagicMock(), stem, 3, options)["name"] for stem in stems.STEMS]
    (first, half), (second, batch) = built
    assert names == ["half 3", "batch 3"] and first == second == draw("mobile", 3)
    assert isinstance(half, HalfInstanceNorm) and isinstance(batch, nn.BatchNorm2d)
    assert LAYOUTS["mobile"].stem == "half", "the layout is changed only for the training"


def test_stems_are_compared_network_by_network() -> None:
    lines = [
        line(stem, number, 0.88 + 0.01 * (stem == "half") + 0.02 * number) for stem in stems.STEMS for number in (0, 1)
    ]
    text = stems.table(lines)
    assert "| half | 2 | 90.00 | 89.00, 91.00 |" in text
    assert "| half minus batch | 2 | +1.00 | +1.00 to +1.00 |" in text
