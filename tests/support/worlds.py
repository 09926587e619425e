"""A synthetic world that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from compactnas.synthetic import write_world
from support.made_once import made_once


def small_world(factory: pytest.TempPathFactory) -> Path:
    """Return a world of three cities, made once in a session. Tests only read it.

    Args:
        factory: The fixture `tmp_path_factory`.
    """

    def make(folder: Path) -> None:
        write_world(folder / "world", cities=2, test_cities=1, patches=240, scene_px=264)

    return made_once(factory, "small-world", make) / "world"
