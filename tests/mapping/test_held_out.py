"""A map against the labels of training: recognised, and compared with their held-out part alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import EPSG, LEFT, TOP, job, numbers, write_model, write_raster, write_scene

from compactnas.cli import main
from compactnas.config import DataConfig, RunConfig
from compactnas.data import open_dataset
from compactnas.data.packing.pack import prepare
from compactnas.errors import UserError
from compactnas.labels.files import LabelFile, label_file
from compactnas.mapping.assess import Assessment, assess
from compactnas.mapping.config import Outputs
from compactnas.mapping.mapping import make_map
from compactnas.runs.folder import start
from compactnas.runs.task import Task

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")
ROWS, COLUMNS = 240, 320
BLOCKS = np.kron(np.random.default_rng(2).permutation(np.arange(48)).reshape(6, 8), np.ones((4, 4), int))
"""Areas of 400 m, numbered 0 to 47, as labels of 100 m."""
CLASSES = (1 + BLOCKS % 5).astype(np.uint8)
BOXES = [(column, row, int(CLASSES[row * 4, column * 4])) for row in range(6) for column in range(8)]
"""Column, row and LCZ of each area."""


def polygon_file(path: Path) -> Path:
    """The areas as polygons, a little smaller."""
    features = []
    for column, row, lcz in BOXES:
        (left, right), (top, bottom) = ((400 * n + 30, 400 * n + 370) for n in (column, row))
        ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        geometry = {"type": "Polygon", "coordinates": [[(LEFT + x, TOP - y) for x, y in ring]]}
        features.append({"type": "Feature", "properties": {"lcz": lcz}, "geometry": geometry})
    system = {"type": "name", "properties": {"name": f"EPSG:{EPSG}"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": system, "features": features}))
    return path


def separate(labels: np.ndarray) -> np.ndarray:
    """Labels of areas with a gap of one label between them, so that no two touch."""
    gaps = np.zeros_like(labels)
    for row, column in np.ndindex(6, 8):
        inner = np.s_[row * 4 : row * 4 + 3, column * 4 : column * 4 + 3]
        gaps[inner] = labels[inner]
    return gaps


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("scene") / "city.tif", numbers(ROWS, COLUMNS))


def run_of(folder: Path, **data: Any) -> Path:
    """The folder of a run, before its first step."""
    folder.mkdir()
    config = RunConfig(data=DataConfig(**data))
    start(folder, config, open_dataset(config.data), resume=False, stage="search.jsonl")
    return folder


def mapped(folder: Path) -> tuple[Path, np.ndarray]:
    """A map of 100 m that is right in 7 of 10 cells."""
    generator = np.random.default_rng(3)
    labels = np.where(generator.random(CLASSES.shape) < 0.7, CLASSES, generator.integers(1, 6, CLASSES.shape))
    return write_raster(folder / "m.tif", labels.astype(np.uint8)[None], 100.0, nodata=0), labels


def confusion(labels: np.ndarray, true: np.ndarray) -> np.ndarray:
    found = np.zeros((17, 17), np.int64)
    for t, m in zip(true.ravel(), labels.ravel(), strict=True):
        if t:
            found[t - 1, m - 1] += 1
    return found


@pytest.mark.parametrize("kind", ["polygons", "areas"])
@pytest.mark.parametrize("packed", [False, True], ids=["scene", "packed"])
def test_only_what_the_run_held_out_is_compared(tmp_path: Path, scene: Path, kind: str, packed: bool) -> None:
    if kind == "polygons":
        truth, true = polygon_file(tmp_path / "l.geojson"), CLASSES
    else:
        true = separate(CLASSES)
        truth = write_raster(tmp_path / "l.tif", true[None], 100.0, nodata=0)
    data: dict[str, Any] = {"path": str(scene), "labels": str(truth), "window_px": 16}
    if packed:
        data = {"path": str(prepare(DataConfig(**data), tmp_path / "packed"))}
    data |= {"split": "group", "test_fraction": 0.3}
    dataset = open_dataset(DataConfig(**data))
    assert dataset.source.facts.groups is not None
    tested = set(dataset.source.facts.groups[dataset.parts["test"]].tolist())
    kept = np.zeros_like(true)
    for number, (column, row, _) in enumerate(BOXES, 1):
        if {f"polygon {number}", f"area {4 * row}/{4 * column}"} & tested:
            kept[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1
    file, labels = mapped(tmp_path)
    found = assess(file, truth, held_out=str(run_of(tmp_path / "run", **data)), draws=20)
    np.testing.assert_array_equal(found.every.confusion, confusion(labels, true * kept))
    assert 0 < found.every.n < 0.5 * np.count_nonzero(true)
    assert found.covered == 1 and f"only the {len(tested)} units of the run's test part are compared" in found.notes[-1]
    if kind == "polygons":
        assert found.every.units == len(tested)


def test_the_areas_of_a_run_are_kept_for_a_map_in_another_system(tmp_path: Path, scene: Path) -> None:
    truth = write_raster(tmp_path / "l.tif", separate(CLASSES)[None], 100.0, nodata=0)
    data = {"path": str(scene), "labels": str(truth), "window_px": 16, "split": "group"}
    run, (file, _) = run_of(tmp_path / "run", **data), mapped(tmp_path)
    near = assess(file, truth, held_out=str(run), draws=0)
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.shutil import copy
    from rasterio.vrt import WarpedVRT

    with rasterio.open(file) as raster, WarpedVRT(raster, crs="EPSG:4326", resampling=Resampling.nearest) as warped:
        copy(warped, tmp_path / "degrees.tif", driver="GTiff")
    far = assess(tmp_path / "degrees.tif", truth, held_out=str(run), draws=0)
    assert far.every.measures.oa == pytest.approx(near.every.measures.oa, abs=0.1)
    assert "degrees, about" in far.cell and any("nearest neighbour" in note for note in far.notes)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "random windows": ({"split": "random"}, r"has windows of \d+ of its \d+ test groups in its training part too"),
    "blocks": ({"split": "block", "block_m": 700.0}, r"\(data.split=block\); train with --data.split group"),
}


@pytest.mark.parametrize("name", WRONG)
def test_parts_that_are_not_by_polygon_are_one_line(tmp_path: Path, scene: Path, name: str) -> None:
    split, message = WRONG[name]
    truth = polygon_file(tmp_path / "l.geojson")
    run = run_of(tmp_path / "run", path=str(scene), labels=str(truth), window_px=16, **split)
    with pytest.raises(UserError, match=message):
        assess(mapped(tmp_path)[0], truth, held_out=str(run))


def test_other_labels_and_whole_cities_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("oslo", "rome"):
        write_scene(tmp_path / "s" / f"{name}.tif", numbers(60, 80))
        write_raster(tmp_path / "s" / f"{name}_lcz.tif", CLASSES[None, :6, :8], 100.0, nodata=0)
    run = run_of(tmp_path / "run", path=str(tmp_path / "s"), window_px=16, split="group")
    file, _ = mapped(tmp_path)
    with pytest.raises(UserError, match=r"the run held out (oslo|rome), not areas of .*rome_lcz\.tif; assess without"):
        assess(file, tmp_path / "s" / "rome_lcz.tif", held_out=str(run))
    other = write_raster(tmp_path / "other.tif", CLASSES[None], 100.0, nodata=0)
    assert main(["assess", str(file), str(other), "--held-out", str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "other.tif is not a label file that" in line and "oslo_lcz.tif" in line


def test_a_reference_that_the_network_was_trained_on_is_recognised(
    tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = polygon_file(tmp_path / "l.geojson")
    source = open_dataset(DataConfig(str(scene), labels=str(truth), window_px=16, split="group")).source
    assert source.facts.label_files == (label_file(truth),)
    model, scene = write_model(tmp_path / "model"), write_scene(tmp_path / "small.tif", numbers(60, 80))
    about = make_map(job(model, scene), tmp_path / "unknown", Outputs("city"), lambda *_: None, lambda _: None)
    assert about["training"] == {"label_files": []}
    task = Task.read(model)
    Task(task.bands, task.classes, 32, True, label_files=source.facts.label_files).write(model)
    make_map(job(model, scene), tmp_path / "map", Outputs("city"), lambda *_: None, lambda _: None)

    def warnings(folder: str, reference: Path = truth) -> tuple[str, ...]:
        found: Assessment = assess(tmp_path / folder / "city_lcz.tif", reference, draws=0)
        return found.warnings

    (line,) = warnings("map")
    assert "l.geojson: the network was trained on these labels, so the figures are too good" in line
    assert warnings("unknown") == ()
    copied = tmp_path / "same.geojson"
    copied.write_bytes(truth.read_bytes())
    assert len(warnings("map", copied)) == 1  # by content, whatever the name
    copied.write_text(truth.read_text() + "\n")
    assert warnings("map", copied) == ()
    assert main(["assess", str(tmp_path / "map" / "city_lcz.tif"), str(truth), "--draws", "0"]) == 0
    assert "warning: " in capsys.readouterr().out
    (tmp_path / "map" / "map.json").write_text("[1]")
    assert warnings("map") == ()


@pytest.mark.parametrize(
    "raw",
    [{}, [1], [{"name": "a"}], [{"name": "a", "sha256": "0" * 63}], [{"name": 1, "sha256": "0" * 64}]],
    ids=str,
)
def test_a_task_with_other_label_files_is_refused(raw: Any) -> None:
    task = Task(("a",), ("x", "y"), 8, False, label_files=(LabelFile("l.tif", "0" * 64),))
    values = task.to_json()
    assert Task.from_json(values, "task.json").label_files == task.label_files
    with pytest.raises(UserError, match=r"task\.json: label_files must"):
        Task.from_json(values | {"label_files": raw}, "task.json")
