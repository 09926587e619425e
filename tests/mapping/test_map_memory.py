"""Peak memory of a map does not grow with the scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.map_files import numbers, write_model, write_scene

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")

MOST_GB = 1.5
PROGRAM = """
import sys
from pathlib import Path
from support.map_files import FakeEngine, job
from compactnas.mapping import executor
from compactnas.mapping.config import Outputs
from compactnas.mapping.mapping import make_map
from compactnas.training.runtime import peak_memory_gib
class Forgetful(list):
    def append(self, patches):
        pass
executor.open_engine = lambda *_: FakeEngine(seen=Forgetful())
model, scene, out = map(Path, sys.argv[1:])
make_map(job(model, scene), out, Outputs(), lambda *_: None, lambda _: None)
print(peak_memory_gib())
"""


def test_a_scene_of_3000_pixels_is_mapped_in_little_memory(tmp_path: Path) -> None:
    """Ten bands of 3000 x 3000 pixels, with a fill that must be searched for; the network is replaced by a fake one."""
    pixels = np.tile(numbers(300, 300), (1, 10, 10))
    pixels[:, :700, :900] = 0
    scene = write_scene(tmp_path / "city.tif", pixels, tiled=True, blockxsize=256, blockysize=256)
    del pixels
    model = write_model(tmp_path / "model")
    paths = [str(Path(__file__).parents[1]), *sys.path]
    program = f"import sys; sys.path[:] = {paths!r}\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", program, model, scene, tmp_path / "map"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < MOST_GB * 1e9 / 2**30
