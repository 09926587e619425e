"""A map on Ray: the bytes of a map in one process; one line for what is wrong with a scene."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.forking import finish
from support.map_files import contents, numbers, write_model, write_scene

pytest.importorskip("ray", reason="Ray is not installed; `pip install 'compactnas[cluster]'`")
pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")


def test_blocks_on_ray_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray of its own starts in a process of its own; names of files are relative to where it was called."""
    write_model(tmp_path / "run")
    scene = write_scene(tmp_path / "scene.tif", numbers(900, 200))  # six blocks, in two tasks

    monkeypatch.chdir(tmp_path)

    def mapped(out: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["-m", "compactnas", "map", "run", "scene.tif", "--output", out, "--threads", "1"]
        return finish([*command, *words], check=False)

    for out, words in (("here", ()), ("ray", ("--ray",))):
        done = mapped(out, *words)
        assert done.returncode == 0 and not done.stderr, done.stderr
    assert contents(tmp_path / "here") == contents(tmp_path / "ray")
    scene.write_bytes(scene.read_bytes()[:-200_000])
    done = mapped("cut", "--ray")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "scene.tif: cannot be read as a GeoTIFF" in done.stderr
    assert not (tmp_path / "cut" / "scene_lcz.tif").exists()
