"""`scripts/eurosat_places.py`: five equal folds, bands of longitude where they are known, adjoining patches together."""

from __future__ import annotations

import io
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

PX = 16


@pytest.fixture
def places(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "scripts"))
    import eurosat_places

    return eurosat_places
