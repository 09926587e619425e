"""Files that a stage writes again: the temperature stays with its weights, and seconds are numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compactnas.errors import UserError
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs.folder import save_model
from compactnas.runs.seconds import FILE, add_seconds, read_seconds
from compactnas.runs.temperature import Temperature


def test_the_temperature_is_that_of_the_weights(tmp_path: Path) -> None:
    spec = ModelSpec("resnet8", 3, 4, 8)
    network = build(spec)
    save_model(tmp_path, spec, network)
    Temperature(1.5, "validation", 10, 0.2, 0.1).write(tmp_path)
    save_model(tmp_path, spec, network)
    assert Temperature.read(tmp_path) is not None, "a finished training that is resumed writes the same weights"
    with torch.no_grad():
        next(network.parameters()).add_(1)
    save_model(tmp_path, spec, network)
    assert Temperature.read(tmp_path) is None


@pytest.mark.parametrize("content", ["{}", "[1]", "-1", "NaN", "true"])
def test_damaged_seconds_are_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UserError, match=r"seconds\.json: .*remove it"):
        read_seconds(tmp_path)
    (tmp_path / FILE).unlink()
    add_seconds(tmp_path, 1.5)
    add_seconds(tmp_path, 2.25)
    assert read_seconds(tmp_path) == 3.75
