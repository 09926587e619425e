"""One suite that every registered data format passes; a new format needs a maker here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.data_files import folder, npz, so2sat_folder
from support.map_files import write_raster

from compactnas.config import DataConfig
from compactnas.data import ArraySource, Facts, open_source, open_streamed
from compactnas.data.formats import FORMATS, DataFormat, format_of
from compactnas.data.packing.pack import prepare
from compactnas.errors import UserError


def packed(where: Path) -> DataConfig:
    return DataConfig(str(prepare(npz(where).config, where / "packed")))


def scenes(where: Path) -> DataConfig:
    """A scene of reflectance with a map of labels beside it."""
    pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    numbers = np.random.default_rng(0).integers(1, 9000, (3, 60, 70)).astype(np.uint16)
    path = write_raster(where / "rome.tif", numbers, descriptions=("B02", "B03", "B04"), scale=1e-4)
    labels = np.random.default_rng(1).integers(1, 18, (1, 6, 7)).astype(np.uint8)
    write_raster(where / "rome_lcz.tif", labels, 100.0, nodata=0)
    return DataConfig(str(path), window_px=8)


MAKERS: dict[str, Callable[[Path], DataConfig]] = {
    "folder": lambda where: folder(where).config,
    "npz": lambda where: npz(where).config,
    "packed": packed,
    "scenes": scenes,
    "so2sat": lambda where: so2sat_folder(where).config,
}
"""Writes a tiny valid set of each format."""


@pytest.fixture(params=list(FORMATS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(name: str, tmp_path: Path) -> DataConfig:
    assert name in MAKERS, f"the format {name} needs a maker in this file"
    return MAKERS[name](tmp_path)


def all_rows(config: DataConfig) -> tuple[Any, Any]:
    source = open_streamed(config)
    return source.batch(np.arange(len(source.facts.labels)))


def test_its_facts_fit_its_pixels(config: DataConfig) -> None:
    facts = open_streamed(config).facts
    images, labels = all_rows(config)
    assert images.shape == (len(facts.labels), len(facts.bands), facts.patch_px, facts.patch_px)
    assert images.dtype.kind in "uif" and np.isfinite(images).all()
    assert facts.labels.dtype == labels.dtype == np.int64
    np.testing.assert_array_equal(labels, facts.labels)
    assert 0 <= labels.min() <= labels.max() < len(facts.classes)
    assert len(set(facts.bands)) == len(facts.bands) and len(set(facts.classes)) == len(facts.classes)
    assert facts.groups is None or len(facts.groups) == len(labels)
    assert facts.keys is None or len(facts.keys) == len(labels)
    assert set(facts.parts) <= {"train", "validation", "test"}


def test_it_gives_the_same_rows_twice_and_in_any_order(config: DataConfig) -> None:
    images, labels = all_rows(config)
    again, same = all_rows(config)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    rows = np.random.default_rng(0).integers(len(labels), size=20)
    some, some_labels = open_source(config).batch(rows)
    np.testing.assert_array_equal(some, images[rows])
    np.testing.assert_array_equal(some_labels, labels[rows])


def test_it_takes_bands_and_downsampling(config: DataConfig) -> None:
    images, _ = all_rows(config)
    bands = open_streamed(config).facts.bands
    last, _ = all_rows(replace(config, bands=(bands[-1],)))
    np.testing.assert_array_equal(last, images[:, -1:])
    half, _ = all_rows(replace(config, downsample=2))
    blocks = images.reshape(*images.shape[:2], half.shape[2], 2, half.shape[3], 2)
    np.testing.assert_allclose(half, blocks.mean((3, 5), np.float64), 1e-5, 1e-6)


def test_it_streams_as_it_declares(name: str, config: DataConfig) -> None:
    assert isinstance(open_source(config), ArraySource)
    assert isinstance(open_streamed(config), ArraySource) != FORMATS[name].streams


def test_it_alone_is_detected(name: str, config: DataConfig) -> None:
    assert format_of(config) == name
    found = [other for other in FORMATS if FORMATS[other].detect(Path(config.path)) and not FORMATS[other].fallback]
    assert found == ([] if FORMATS[name].fallback else [name])
    assert len(open_source(replace(config, format=name)).facts.labels)


def test_what_is_empty_or_broken_is_one_line(name: str, config: DataConfig, tmp_path: Path) -> None:
    empty_folder, empty_file = tmp_path / "nothing", tmp_path / "nothing.dat"
    empty_folder.mkdir()
    empty_file.touch()
    path = Path(config.path)
    for file in [path] if path.is_file() else [file for file in path.rglob("*") if file.suffix not in (".geojson", "")]:
        file.write_bytes(file.read_bytes()[: min(40, file.stat().st_size // 2)])
    for broken in (empty_folder, empty_file, tmp_path / "missing", path):
        with pytest.raises(UserError) as caught:
            all_rows(DataConfig(str(broken), format=name))
        assert "\n" not in str(caught.value) and broken.name in str(caught.value)


def test_a_format_from_outside_is_detected_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FORMATS, "_entries", dict(FORMATS._entries))
    facts = Facts("made", ("a",), ("x", "y"), 2, np.arange(6) % 2)
    images = np.arange(24.0).reshape(6, 1, 2, 2)
    made = DataFormat(
        title="a file of numbers",
        detect=lambda path: path.suffix == ".numbers",
        open=lambda config: ArraySource(facts, images * config.window_px),
        options=("window_px",),
    )
    FORMATS.add("numbers", made)
    (tmp_path / "set.numbers").touch()
    config = DataConfig(str(tmp_path / "set.numbers"), window_px=3)
    np.testing.assert_array_equal(open_source(config).batch(np.arange(6))[0], images * 3)
    assert open_source(replace(config, format="numbers")).facts.name == "made"
    with pytest.raises(UserError, match=r"data.window_px: 3 is an option of the format `numbers`"):
        open_source(replace(npz(tmp_path).config, window_px=3))
    with pytest.raises(UserError, match="data format 'npz' exists already"):
        FORMATS.add("npz", made)


def test_a_misspelt_format_and_an_unknown_file_are_one_line_that_helps(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.format: unknown data format 'folders'; did you mean 'folder'\?"):
        DataConfig("x", format="folders")
    (tmp_path / "set.docx").write_text("no patches")
    with pytest.raises(UserError, match=r"the format of .*set.docx is unknown; give one of: .*or set data.format"):
        open_source(DataConfig(str(tmp_path / "set.docx")))
    with pytest.raises(UserError, match=r"data.sensor: 'both' is an option of the format `so2sat`, but"):
        open_source(replace(npz(tmp_path).config, sensor="both"))
