"""A map takes units and pixel size from the training data, and says when a scene is unlike it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.map_files import LEFT, TOP, numbers, write_raster
from support.tiny import tiny_config

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.data import open_dataset, open_source
from compactnas.data.formats.scenes import open_scenes
from compactnas.errors import UserError
from compactnas.pipeline.running import train_stage
from compactnas.runs.task import Task

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")

NAMES = ("B02", "B03", "B04")
SIDE = 240


def blocks(classes: int = 4, side: int = 40) -> np.ndarray:
    """Labels 1 to `classes` in squares, as a checkerboard of all of them."""
    rows, columns = np.mgrid[:SIDE, :SIDE] // side
    return ((rows + 2 * columns) % classes + 1).astype(np.uint8)


def ground(labels: np.ndarray) -> np.ndarray:
    """Numbers of three bands that tell the classes apart, uint16."""
    rng = np.random.default_rng(0)
    levels = np.array([[0, 900, 2500, 4000], [700, 1800, 900, 2600], [500, 3100, 2000, 900]])
    return (levels[:, labels - 1] + rng.uniform(0, 300, (3, *labels.shape))).astype(np.uint16)


def city(folder: Path, pixel_m: float = 10.0, **changes: object) -> Path:
    """A scene with labels beside it; nothing in the file says what its numbers are."""
    labels = blocks()
    scene = write_raster(folder / "city.tif", ground(labels), pixel_m, descriptions=NAMES, **changes)
    write_raster(folder / "city_lcz.tif", labels[None], pixel_m)
    return scene


def trained(scene: Path, folder: Path, side: float = 10.0) -> Path:
    """A network that was trained on the scene for a moment."""
    config = tiny_config(scene, train={"epochs": 6, "batch_size": 8, "learning_rate": 0.1})
    data = DataConfig(
        path=str(scene), window_px=16, stride_px=8, split="block", block_m=800.0 * side / 10, test_fraction=0.2
    )
    train_stage(replace(config, data=data), folder, "resnet8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("city")
    return trained(city(home), home / "run")


def classes_of(folder: Path) -> np.ndarray:
    about = json.loads((folder / "map.json").read_text())
    with rasterio.open(folder / about["files"][0]) as raster:
        return np.asarray(raster.read(1))


def test_numbers_without_a_scale_are_trained_on_and_mapped_as_the_same_values(run: Path, tmp_path: Path) -> None:
    """F1: such a scene was mapped divided by 10,000, though the network had learnt raw numbers."""
    scene, labels = run.parent / "city.tif", blocks()
    facts = open_source(DataConfig(path=str(scene), window_px=8)).facts
    assert any("16-bit numbers without a declared scale" in note for note in facts.notes)
    warnings = json.loads((run / "warnings.json").read_text())
    assert any("taken as reflectance x 10,000" in text for text in warnings)
    assert main(["map", str(run), str(scene), "-o", str(tmp_path / "map")]) == 0
    found, truth = classes_of(tmp_path / "map"), labels[5::10, 5::10]
    assert found.shape == truth.shape and (found == truth).mean() > 0.8
    assert len(np.unique(found)) >= 4


def test_declared_and_assumed_scales_give_the_same_windows(tmp_path: Path) -> None:
    declared = city(tmp_path / "declared", scale=0.0001)
    assumed = city(tmp_path / "assumed")
    ours, theirs = (open_source(DataConfig(path=str(scene), window_px=8)) for scene in (assumed, declared))
    rows = np.arange(len(ours.facts.labels))
    np.testing.assert_array_equal(ours.batch(rows)[0], theirs.batch(rows)[0])
    assert not theirs.facts.notes


def test_a_scene_in_other_units_is_refused_unless_its_scale_is_given(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_raster(tmp_path / "raw.tif", ground(blocks()).astype(np.float32), descriptions=NAMES)
    assert main(["map", str(run), str(scene), "-o", str(tmp_path / "map")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "other units: give --scale" in said and "in training 0." in said
    assert not (tmp_path / "map").exists()
    assert main(["map", str(run), str(scene), "-o", str(tmp_path / "map"), "--scale", "0.0001"]) == 0
    assert "unlike those of training" not in capsys.readouterr().err


def test_a_season_that_the_network_has_not_seen_is_a_warning(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """F5: one band is far from all that was trained on."""
    pixels = ground(blocks())
    pixels[2] += 6000
    scene = write_raster(tmp_path / "snow.tif", pixels, descriptions=NAMES)
    assert main(["map", str(run), str(scene), "-o", str(tmp_path / "map")]) == 0
    said = capsys.readouterr().err
    assert "1 of 3 bands are unlike those of training, most of all B04" in said and "season" in said
    assert any(
        "unlike those of training" in note for note in json.loads((tmp_path / "map/map.json").read_text())["notes"]
    )


def test_pixel_size_travels_from_the_data_to_the_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """F2: a network trained at 30 m refuses a scene of 10 m, and makes cells of about 100 m by itself."""
    coarse = trained(city(tmp_path / "coarse", pixel_m=30.0), tmp_path / "run", 30.0)
    task = Task.read(coarse)
    assert task.pixel_m == 30.0 and len(task.means) == len(task.deviations) == 3
    assert Task.from_json(json.loads(json.dumps(task.to_json())), "there") == task
    fine = city(tmp_path / "fine")
    assert main(["map", str(coarse), str(fine), "-o", str(tmp_path / "no")]) == 2
    said = capsys.readouterr().err
    assert "has pixels of 10 x 10 m, and the network takes 30 m" in said and "rio warp --res 30)\n" in said
    words = ["map", str(coarse), str(tmp_path / "coarse/city.tif"), "-o"]
    assert main([*words, str(tmp_path / "no"), "--pixel-m", "10"]) == 2
    assert "--pixel-m: 10 is not the 30 m that the network was trained on" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "map")]) == 0
    with rasterio.open(tmp_path / "map" / json.loads((tmp_path / "map/map.json").read_text())["files"][0]) as raster:
        assert raster.transform.a == 90.0 and raster.bounds.left == LEFT and raster.bounds.top == TOP


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"pixel_m": 0}, "pixel_m and deviations must be above 0"),
        ({"pixel_m": "ten"}, "pixel_m must hold 1 finite numbers"),
        ({"means": [1.0]}, "means must hold 2 finite numbers"),
        ({"deviations": [1.0, float("inf")]}, "deviations must hold 2 finite numbers"),
        ({"deviations": [1.0, 0.0]}, "pixel_m and deviations must be above 0"),
        ({"scale": 1}, "must have the keys"),
    ],
)
def test_a_wrong_task_is_one_line(raw: dict[str, object], message: str) -> None:
    whole = {"bands": ["a", "b"], "classes": ["x"], "patch_px": 8, "lcz": False}
    with pytest.raises(UserError, match=message):
        Task.from_json(whole | raw, "task.json")


def test_labels_that_are_left_out_are_counted(tmp_path: Path) -> None:
    scene = city(tmp_path)
    with rasterio.open(scene, "r+") as raster:
        raster.nodata = 65535
        pixels = raster.read()
        pixels[:, :20, :20] = 65535
        raster.write(pixels)
    source = open_scenes(scene, window_px=32)
    labels, kept = 24 * 24, len(source.facts.labels)
    edge, holes = (int(note.split(": ")[1].split()[0]) for note in source.facts.notes[1:])
    assert edge + holes + kept == labels and edge > holes > 0
    assert "crosses the edge" in source.facts.notes[1] and "no-data pixels" in source.facts.notes[2]
    assert open_dataset(DataConfig(path=str(scene), split="random")).warnings[:3] == source.facts.notes


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_a_scene_that_is_not_in_metres_of_the_ground_is_refused(tmp_path: Path, crs: str) -> None:
    """F4: a scene in degrees gave one window a polygon."""
    side = 0.0001 if crs == "EPSG:4326" else 10.0
    at = (13.0, 52.0) if crs == "EPSG:4326" else (1_450_000.0, 6_800_000.0)
    place = {"crs": crs, "transform": rasterio.Affine(side, 0, at[0], 0, -side, at[1])}
    scene = write_raster(tmp_path / "a.tif", numbers(64, 64, 3), **place)
    write_raster(tmp_path / "a_lcz.tif", np.ones((1, 64, 64), np.uint8), **place)
    with pytest.raises(UserError, match=r"warp it to UTM first \(rio warp --dst-crs EPSG:32633\)"):
        open_scenes(scene)


def test_scenes_of_two_pixel_sizes_are_refused(tmp_path: Path) -> None:
    for name, side in (("a", 10.0), ("b", 30.0)):
        write_raster(tmp_path / f"{name}.tif", numbers(64, 64, 3), side)
        write_raster(tmp_path / f"{name}_lcz.tif", np.ones((1, 64, 64), np.uint8), side)
    with pytest.raises(UserError, match=r"b\.tif: has pixels of 30 m, but a\.tif has 10 m"):
        open_scenes(tmp_path)


def test_labels_far_from_the_scene_are_named_as_the_cause(tmp_path: Path) -> None:
    scene = city(tmp_path)
    write_raster(tmp_path / "city_lcz.tif", blocks()[None], transform=rasterio.Affine(10, 0, 0, 0, -10, 0))
    with pytest.raises(UserError, match="the labels do not meet the scene"):
        open_scenes(scene)


def holed(scene: Path, none: int, rows: slice, band: int) -> Path:
    """Write no data into one band only."""
    with rasterio.open(scene, "r+") as raster:
        raster.nodata = none
        pixels = raster.read()
        pixels[band, rows] = none
        raster.write(pixels)
    return scene


@pytest.mark.parametrize("none", [0, 65535])
def test_no_data_in_one_band_is_no_measurement(run: Path, tmp_path: Path, none: int) -> None:
    """F3: windows of which one band had no data were trained on, and mapped along the edge of a swath."""
    scene = holed(city(tmp_path), none, slice(100, 160), 1)
    source = open_scenes(scene, window_px=16, stride_px=10)
    assert source.facts.keys is not None
    rows = np.array([int(key.split("/")[1]) for key in source.facts.keys])
    assert len(rows) and not ((rows < 160) & (rows + 16 > 100)).any()
    assert any("no-data pixels" in note for note in source.facts.notes)
    kept = open_scenes(scene, bands=("B02", "B04"), window_px=16, stride_px=10)
    assert len(kept.facts.labels) > len(rows)
    assert main(["map", str(run), str(scene), "-o", str(tmp_path / "map")]) == 0
    found = classes_of(tmp_path / "map")
    assert (found[9:17] == 0).all() and (found[:9] > 0).all() and (found[17:] > 0).all()


def test_a_single_0_may_be_a_dark_roof(run: Path, tmp_path: Path) -> None:
    scene = holed(city(tmp_path), 0, slice(0, 0), 1)
    with rasterio.open(scene, "r+") as raster:
        pixels = raster.read()
        pixels[0, 50:52, 50:52] = 0
        raster.write(pixels)
    whole = open_scenes(city(tmp_path / "whole"), window_px=16, stride_px=10)
    assert len(open_scenes(scene, window_px=16, stride_px=10).facts.labels) == len(whole.facts.labels)
    assert main(["map", str(run), str(scene), "-o", str(tmp_path / "map")]) == 0
    assert (classes_of(tmp_path / "map") > 0).all()


def test_berlin_as_numbers_of_16_bits_is_mapped_as_it_was_trained(shared: Path, tmp_path: Path) -> None:
    """F1 on a real city: with numbers divided by 10,000 in the map only, every cell had the same class."""
    with np.load(shared / "data" / "lcz_berlin" / "berlin_lcz_s2.npz") as data:
        scene, labels, names = data["scene"], data["scene_lcz"], [str(name) for name in data["band_names"]]
        place = {"crs": f"EPSG:{data['epsg']}", "transform": rasterio.Affine(*data["transform"])}
    write_raster(tmp_path / "berlin.tif", scene.astype(np.uint16), descriptions=names, **place)
    write_raster(tmp_path / "berlin_lcz.tif", labels[None].astype(np.uint8), **place)
    config = tiny_config(tmp_path / "berlin.tif", train={"epochs": 4, "batch_size": 32})
    data = DataConfig(path=str(tmp_path / "berlin.tif"), split="random", stride_px=5)
    train_stage(replace(config, data=data), tmp_path / "run", "resnet8")
    assert main(["map", str(tmp_path / "run"), str(tmp_path / "berlin.tif"), "-o", str(tmp_path / "map")]) == 0
    found, truth = classes_of(tmp_path / "map"), labels[5::10, 5::10]
    known = truth > 0
    most = np.bincount(truth[known]).max() / known.sum()
    assert (found[known] == truth[known]).mean() > most + 0.2
