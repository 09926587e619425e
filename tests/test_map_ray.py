"""A map on Ray: the bytes of a map in one process, and one line for what is wrong with a scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from map_files import contents, numbers, write_model, write_scene

pytest.importorskip("ray", reason="Ray is not installed; `pip install 'compactnas[cluster]'`")
pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")


def test_blocks_on_ray_give_the_same_bytes(tmp_path: Path) -> None:
    """A Ray of its own starts in a process of its own; names of files are relative to where it was called."""
    write_model(tmp_path / "run")
    scene = write_scene(tmp_path / "scene.tif", numbers(700, 64))

    def mapped(out: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "compactnas", "map", "run", "scene.tif", "--out", out, "--workers", "1"]
        return subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    for out, words in (("here", ()), ("ray", ("--ray",))):
        done = mapped(out, *words)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert contents(tmp_path / "here") == contents(tmp_path / "ray")
    scene.write_bytes(scene.read_bytes()[:-200_000])
    done = mapped("cut", "--ray")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "scene.tif: cannot be read as a GeoTIFF" in done.stderr
    assert not (tmp_path / "cut" / "scene_lcz.tif").exists()
