"""Polygons in, map out: a Landsat folder and a Sentinel-2 product, with no step outside the tool."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.map_files import EPSG, LEFT, TOP, read_map, write_product
from support.polygon_files import square, write_polygons
from support.scene_files import LANDSAT, write_landsat

from compactnas.cli import main

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")
pytest.importorskip("pyogrio", reason="polygons need pyogrio (the map extra)")

SUFFIX = ".shp"
"""Format of the polygons."""
SIDE, BLOCK = 120, 24
"""Side of the city and of a block of one class, in pixels."""
CLASSES = np.array((2, 6, 11, 17))
"""Classes of the city: LCZ 2, 6, A and G."""


def lcz() -> np.ndarray:
    """Classes of the blocks: LCZ of each pixel."""
    rows, columns = np.mgrid[:SIDE, :SIDE] // BLOCK
    found: np.ndarray = CLASSES[(rows + 2 * columns) % len(CLASSES)]
    return found


def reflectance(bands: int) -> np.ndarray:
    """Values that tell the classes apart, (bands, rows, columns)."""
    rng = np.random.default_rng(0)
    levels = rng.uniform(0.02, 0.4, (bands, len(CLASSES)))
    place = np.searchsorted(CLASSES, lcz())
    found: np.ndarray = levels[:, place] + rng.normal(0, 0.01, (bands, SIDE, SIDE)).clip(-0.02, 0.02)
    return found


def polygons(path: Path, pixel_m: float) -> Path:
    """Draw a square into the middle of each block."""
    inset, labels = 4, lcz()
    corners = [(row, column) for row in range(0, SIDE, BLOCK) for column in range(0, SIDE, BLOCK)]
    rings = [square(LEFT + pixel_m * (c + inset), TOP - pixel_m * (r + inset), pixel_m * 16) for r, c in corners]
    return write_polygons(path, rings, [int(labels[corner]) for corner in corners], EPSG)


def used(folder: Path, scene: Path, labels: Path, *options: str) -> np.ndarray:
    """Train on a scene and polygons, map the scene, and assess the map: classes of the map."""
    run, map_folder = folder / "run", folder / "map"
    assert main(["inspect", str(scene), "--data.labels", str(labels), *options]) == 0
    training = "--data.split group --recipe smoke --train.epochs 6 --train.batch-size 16 --machine.threads 1"
    words = ["--model", "resnet8", "--data.path", str(scene), "--data.labels", str(labels), "-o", str(run)]
    assert main(["train", *words, *options, *training.split()]) == 0
    assert main(["map", str(run), str(scene), "-o", str(map_folder), "--threads", "1"]) == 0
    about = json.loads((map_folder / "map.json").read_text())
    map_file = map_folder / about["files"][0]
    assert main(["assess", str(map_file), str(labels), "--json", "--draws", "0"]) == 0
    return read_map(map_folder, about["files"][0])


@pytest.mark.parametrize("kind", ["landsat", "safe"])
def test_polygons_become_a_map(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "landsat":
        numbers = np.rint((reflectance(7) + 0.2) / 2.75e-5).astype(np.uint16)
        numbers[:, :30, :40] = 65535  # nobody declared it
        scene = write_landsat(tmp_path / f"{LANDSAT}_T1", numbers)
        pixel_m, step, window = 30.0, 3, 8
    else:
        numbers = np.rint(reflectance(10) * 1e4).astype(np.uint16)
        scene = write_product(tmp_path / "S2A_MSIL2A_20230601_N0509.SAFE", numbers, offset=-1000, coarse=("B05", "B12"))
        pixel_m, step, window = 10.0, 10, 16
    labels = polygons(tmp_path / f"drawn{SUFFIX}", pixel_m)
    options = ["--data.window-px", str(window), "--data.stride-px", "6"]
    found = used(tmp_path, scene, labels, *options)
    printed, said = capsys.readouterr()
    measured = json.loads(printed.partition("mapped: ")[2].partition("\n")[2])
    truth = lcz()[step // 2 :: step, step // 2 :: step][: found.shape[0], : found.shape[1]]
    middle = np.isin(np.arange(SIDE) % BLOCK, np.arange(8, 16))[step // 2 :: step]
    pure = np.outer(middle, middle)[: found.shape[0], : found.shape[1]] & (found > 0)
    assert (found[pure] == truth[pure]).mean() > 0.8
    assert set(CLASSES) <= set(np.unique(found))
    assert measured["every"]["measures"]["oa"] > 0.8
    if kind == "landsat":
        hidden = np.zeros(found.shape, bool)
        hidden[: 30 // step, : 40 // step] = True
        assert (found[hidden] == 0).all() and (found[~hidden] > 0).mean() > 0.9
        assert "1200 pixels hold 65535 in all bands and were taken as missing" in said
