"""A tiny valid set of the format `packed`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compactnas.config import DataConfig
from compactnas.data.packing.pack import prepare
from support.data_files import Made, npz


def make(where: Path) -> Made:
    made = npz(where)
    return replace(made, config=DataConfig(str(prepare(made.config, where / "packed"))))
