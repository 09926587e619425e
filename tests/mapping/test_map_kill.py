"""A map that is killed with -9 half-way ends, when it is given again, with the same bytes; its memory has a bound."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.forking import Forked, finish
from support.map_files import contents, numbers, write_model, write_scene

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")

SLOWLY = """
import sys, time
from compactnas.cli import main
from compactnas.mapping import grid
from compactnas.mapping.block_store import BlockStore
grid.BLOCK_ROWS = 1
put = BlockStore.put
def slow(self, *block):
    put(self, *block)
    time.sleep(float(sys.argv[1]))
BlockStore.put = slow
sys.exit(main(sys.argv[2:]))
"""


def command(pause_s: float, *words: Path | str) -> list[str]:
    return ["-c", SLOWLY, str(pause_s), "map", *map(str, words), "--threads", "1"]


def test_killed_or_stopped_half_way_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    model, scene = write_model(tmp_path / "run"), write_scene(tmp_path / "scene.tif", numbers(96, 64))
    finish(command(0, model, scene, "--output", tmp_path / "whole"))
    out, done = tmp_path / "cut", 0
    for number, code in ((signal.SIGKILL, -9), (signal.SIGUSR1, 75), (signal.SIGTERM, 75)):
        words, before = command(0.2, model, scene, "--output", out), done
        process = Forked(words)
        until = time.monotonic() + 120
        while done < before + 2:
            assert process.poll() is None and time.monotonic() < until
            done = len(list(out.glob("map.part/block_*")))
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate()
        assert process.returncode == code
        assert [file.name for file in out.iterdir()] == ["map.part"]
    assert "stopped by SIGTERM; give the same command again to continue" in said
    assert 6 <= done < 10
    finish(command(0, model, scene, "--output", out))
    assert contents(out) == contents(tmp_path / "whole")


MEASURED = """
import sys
import numpy as np
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.forking import Forked, finish
from support.map_files import FakeEngine, job
from compactnas.training.runtime import peak_memory_gib
from compactnas.mapping import executor, mapping
from compactnas.mapping.config import Outputs
executor.open_engine = lambda *_: FakeEngine(seen=Forgetful())
class Forgetful(list):
    def append(self, item): pass
mapping.make_map(job(Path(sys.argv[2]), Path(sys.argv[3])), Path(sys.argv[4]), Outputs(), lambda *_: None, print)
print(peak_memory_gib())
"""


def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    """A scene that is 28 times as large, 410 MB as reflectance, takes a fraction of that more."""
    model, peaks = write_model(tmp_path / "run"), []
    for side in (600, 3200):
        tile = numbers(200, 200)
        scene = write_scene(tmp_path / f"{side}.tif", np.tile(tile, (1, side // 200, side // 200)), tiled=True)
        words = [str(Path(__file__).parents[1]), model, scene, tmp_path / f"map{side}"]
        done = subprocess.run([sys.executable, "-c", MEASURED, *words], check=True, capture_output=True, text=True)
        peaks.append(1024 * float(done.stdout))
    assert peaks[1] < peaks[0] + 200, peaks
