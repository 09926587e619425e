"""Real pixels, from search to evaluation, through the readers that everybody uses."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.tiny import tiny_config
from support.worlds import small_world

from compactnas.config import DataConfig, RunConfig
from compactnas.data import open_source, open_streamed
from compactnas.data.inspection import look
from compactnas.data.packing.pack import prepare
from compactnas.pipeline.running import run, search_stage


def small_config(where: Path, data: DataConfig) -> RunConfig:
    """A run of one epoch in each stage, with small cells."""
    once: dict[str, object] = {"epochs": 1}
    return replace(tiny_config(where, space={"nodes": 3, "blocks": 2}, search=once, train=once), data=data)


def test_berlin_in_so2sats_layout_and_the_made_world_go_the_same_way(
    shared: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sources = {
        "berlin": DataConfig(path=str(shared / "data" / "lcz_berlin" / "berlin_so2sat_layout.h5"), split="random"),
        "world": DataConfig(path=str(small_world(tmp_path_factory))),
    }
    for name, data in sources.items():
        evaluation = run(small_config(tmp_path, data), tmp_path / name)
        assert len(evaluation.classes) == 17
        assert evaluation.measures.oa_built_natural is not None
        assert evaluation.n > 10
    assert evaluation.measures.classes_present == 17


def test_berlin_cut_by_a_csv(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "lcz_berlin" / "berlin_so2sat_layout.h5"
    shutil.copy(source, tmp_path / "berlin.h5")
    with h5py.File(source) as file:
        labels = np.argmax(file["label"][:], axis=1)
    assert set(labels) == {1, 4}  # LCZ 2 and 5 only
    with (tmp_path / "split.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split"])
        writer.writerows([f"berlin.h5/{row}", "test" if row % 3 == 0 else "train"] for row in range(len(labels)))
    data = DataConfig(path=str(tmp_path / "berlin.h5"), split="csv", split_csv=str(tmp_path / "split.csv"))
    evaluation = run(small_config(tmp_path, data), tmp_path / "run")
    assert evaluation.measures.classes_present == 2
    assert evaluation.n == len(range(0, len(labels), 3))


def test_berlin_packed_searches_as_berlin_does(shared: Path, tmp_path: Path) -> None:
    berlin = DataConfig(path=str(shared / "data" / "lcz_berlin" / "berlin_so2sat_layout.h5"), split="random")
    packed = prepare(berlin, tmp_path / "packed")
    about = json.loads((packed / "manifest.json").read_text())
    assert about["largest_rounding_error"] < 1e-6  # the sensor's numbers are whole ten thousandths
    for name, data in (("source", berlin), ("packed", replace(berlin, path=str(packed)))):
        search_stage(small_config(tmp_path, data), tmp_path / name)
    for file in ("genotype.json", "search/metrics.jsonl", "normalisation.json"):
        assert (tmp_path / "source" / file).read_bytes() == (tmp_path / "packed" / file).read_bytes()


def test_berlins_scene_and_labels_give_berlins_patches(shared: Path, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    with np.load(shared / "data" / "lcz_berlin" / "berlin_lcz_s2.npz") as data:
        berlin = dict(data)
    place = {
        "driver": "GTiff",
        "crs": f"EPSG:{berlin['epsg']}",
        "transform": rasterio.Affine(*berlin["transform"]),
        "height": 348,
        "width": 348,
    }
    with rasterio.open(tmp_path / "berlin.tif", "w", count=10, dtype="uint16", **place) as file:
        file.write(berlin["scene"])
        file.descriptions = [str(name) for name in berlin["band_names"]]
    with rasterio.open(tmp_path / "berlin_lcz.tif", "w", count=1, dtype="uint8", **place) as file:
        file.write(berlin["scene_lcz"], 1)
    source = open_streamed(DataConfig(path=str(tmp_path / "berlin.tif"), stride_px=1))  # 14,738 windows
    assert source.facts.keys is not None
    row_of = {key: row for row, key in enumerate(source.facts.keys)}
    found = 0
    for image, label, row, column in zip(berlin["images"], berlin["labels"], berlin["row"], berlin["col"], strict=True):
        ours = row_of.get(f"berlin.tif/{row}/{column}")
        if ours is not None:  # theirs are labelled by the window, ours by its middle
            np.testing.assert_allclose(source.batch(np.array([ours]))[0][0], image / 10_000, rtol=1e-6)
            assert source.facts.labels[ours] == label - 1 or berlin["scene_lcz"][row + 16, column + 16] != label
            found += 1
    assert found > 20


def test_eurosat_ms_as_it_is_distributed(shared: Path, tmp_path: Path) -> None:
    """Written as the archive's own GeoTIFF files, packed, looked at, searched."""
    rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    with np.load(shared / "data" / "eurosat_ms" / "eurosat_ms13_64.npz") as data:
        eurosat = dict(data)
    for image, label, name, epsg, bounds in zip(
        eurosat["images"], eurosat["labels"], eurosat["filenames"], eurosat["epsg"], eurosat["bounds"], strict=True
    ):
        file = tmp_path / "tifs" / str(eurosat["class_names"][label]) / str(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        left, bottom, right, top = bounds
        transform = rasterio.Affine((right - left) / 64, 0, left, 0, (bottom - top) / 64, top)
        profile = {"driver": "GTiff", "count": 13, "dtype": "uint16", "height": 64, "width": 64}
        with rasterio.open(file, "w", crs=f"EPSG:{epsg}", transform=transform, **profile) as raster:
            raster.write(image)
    config = DataConfig(path=str(tmp_path / "tifs"), split="block", block_m=50_000.0)
    packed = prepare(config, tmp_path / "packed")
    source = open_source(replace(config, path=str(packed)))
    assert source.facts.bands == tuple(eurosat["band_names"]) and len(source.facts.classes) == 10
    assert source.facts.keys is not None and source.facts.footprints is not None
    order = [list(eurosat["filenames"]).index(key.split("/")[1]) for key in source.facts.keys]
    np.testing.assert_allclose(source.batch(np.arange(200))[0], eurosat["images"][order] / 10_000, rtol=1e-6)
    np.testing.assert_allclose(source.facts.footprints.bounds, eurosat["bounds"][order], atol=1e-6)
    np.testing.assert_array_equal(source.facts.footprints.epsg, eurosat["epsg"][order])
    assert look(source).warnings == ()
    bands = ("B04", "B03", "B02", "B08")
    few = replace(config, path=str(packed), bands=bands, downsample=8)
    evaluation = run(small_config(tmp_path, few), tmp_path / "run")
    assert evaluation.n > 10


def test_eurosat_rgb_from_its_jpeg_files(shared: Path, tmp_path: Path) -> None:
    """The whole archive is packed by hand (docs/data.md); here, some of each class, to the byte."""
    with np.load(shared / "data" / "eurosat_rgb" / "eurosat_rgb_64_jpeg.npz") as data:
        content, offsets, labels = data["jpeg_bytes"], data["offsets"], data["labels"]
        names, classes = data["filenames"], data["class_names"]
    chosen = [row for label in range(10) for row in np.flatnonzero(labels == label)[:6]]
    for row in chosen:
        file = tmp_path / "jpegs" / str(classes[labels[row]]) / Path(str(names[row])).name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content[offsets[row] : offsets[row + 1]].tobytes())
    config = DataConfig(path=str(tmp_path / "jpegs"))
    packed, straight = open_source(DataConfig(path=str(prepare(config, tmp_path / "packed")))), open_source(config)
    np.testing.assert_array_equal(packed.batch(np.arange(60))[0], straight.batch(np.arange(60))[0])
    assert packed.facts.classes == tuple(classes) and look(packed).warnings == ()


def test_berlin_is_mapped_where_it_lies(shared: Path, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    from support.map_files import job, write_model

    from compactnas.mapping.config import Outputs
    from compactnas.mapping.mapping import make_map

    with np.load(shared / "data" / "lcz_berlin" / "berlin_lcz_s2.npz") as data:
        berlin = dict(data)
    place = {"driver": "GTiff", "crs": f"EPSG:{berlin['epsg']}", "transform": rasterio.Affine(*berlin["transform"])}
    with rasterio.open(tmp_path / "berlin.tif", "w", count=10, height=348, width=348, dtype="uint16", **place) as file:
        file.write(berlin["scene"])
        file.descriptions = [str(name) for name in berlin["band_names"]]  # B2, B3: the network says B02, B03
    warned: list[str] = []
    model = write_model(tmp_path / "run")
    make_map(job(model, tmp_path / "berlin.tif"), tmp_path / "map", Outputs(), lambda *_: None, warned.append)
    with rasterio.open(tmp_path / "map" / "berlin_lcz.tif") as made, rasterio.open(tmp_path / "berlin.tif") as source:
        assert made.crs == source.crs and made.shape == (35, 35)
        assert max(abs(a - b) for a, b in zip(made.bounds[0::3], source.bounds[0::3], strict=True)) < 0.01
        assert tuple(made.transform)[:6] == (100, 0, 384_040, 0, -100, 5_820_320)
        assert len(np.unique(made.read(1))) > 1
    assert warned == []
