"""One suite that every registered data format passes.

A set of the format NAME is made by `make` of `tests/support/data_makers/NAME.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.data_files import Made, npz

from compactnas.config import DataConfig
from compactnas.data import ArraySource, Facts, Indices, Source, open_source, open_streamed
from compactnas.data.formats import FORMATS, DataFormat, format_of
from compactnas.errors import UserError
from compactnas.lcz import NAMES


@pytest.fixture(params=list(FORMATS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(name: str, tmp_path: Path) -> Made:
    maker = f"support.data_makers.{name}"
    assert find_spec(maker), f"write tests/support/data_makers/{name}.py with make(where) -> Made"
    found: Made = import_module(maker).make(tmp_path)
    return found


@pytest.fixture
def config(made: Made) -> DataConfig:
    return made.config


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


def check_rows(source: Source, made: Made) -> None:
    """A batch holds the pixels and labels that were written, in the order of the rows asked for."""
    everything = np.arange(len(made.labels))
    rng = np.random.default_rng(0)
    for rows in (everything, rng.permutation(everything), rng.choice(everything, 20), everything[-1:]):
        images, labels = source.batch(rows)
        np.testing.assert_allclose(images, made.images[rows], rtol=1e-5)
        np.testing.assert_array_equal(labels, made.labels[rows])
    assert (source.facts.classes, source.facts.bands) == (made.classes, made.bands)


def test_it_gives_what_was_written_in_any_order(made: Made) -> None:
    """Read from disk by the format's own `batch`, and from memory."""
    for source in (open_streamed(made.config), open_source(made.config)):
        check_rows(source, made)
        check_rows(source, made)


def test_its_parts_do_not_overlap_and_lie_inside(made: Made) -> None:
    facts = open_streamed(made.config).facts
    rows = np.concatenate([np.empty(0, np.int64), *facts.parts.values()])
    assert len(np.unique(rows)) == len(rows) and np.isin(rows, np.arange(len(facts.labels))).all()
    assert facts.lcz == (facts.classes == NAMES)


class Planted:
    """A source with a mistake in its `batch`."""

    def __init__(self, source: Source, change: Callable[[Indices], Indices], labels_only: bool = False) -> None:
        self.facts, self.source, self.change, self.labels_only = source.facts, source, change, labels_only

    def batch(self, indices: Indices) -> tuple[Any, Any]:
        images, labels = self.source.batch(self.change(indices))
        return (self.source.batch(indices)[0] if self.labels_only else images), labels


@pytest.mark.parametrize(
    ("change", "labels_only"),
    [(np.sort, False), (lambda rows: (rows + 1) % 40, True), (lambda rows: rows[::-1], False)],
    ids=["rows in sorted order", "labels of the next row", "rows reversed"],
)
def test_a_planted_mistake_is_caught(change: Callable[[Indices], Indices], labels_only: bool, tmp_path: Path) -> None:
    made = npz(tmp_path)
    with pytest.raises(AssertionError):
        check_rows(Planted(open_source(made.config), change, labels_only), made)


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
    FORMATS.add("pixels", replace(made, detect=lambda path: False, options=("preload_gib",)))
    with pytest.raises(UserError, match=r"data.preload_gib: 3.0 is an option of the format `pixels`"):
        open_source(replace(npz(tmp_path).config, preload_gib=3.0))
    with pytest.raises(UserError, match="data format 'npz' exists already"):
        FORMATS.add("npz", made)


@pytest.mark.parametrize("option", ["window_px", "stride_px"])
def test_the_windows_of_scenes_are_refused_for_patches(tmp_path: Path, option: str) -> None:
    with pytest.raises(UserError, match=rf"data.{option}: 5 is an option of the format `scenes`, but .* read as `npz`"):
        open_source(replace(npz(tmp_path).config, **{option: 5}))


def test_a_misspelt_format_and_an_unknown_file_are_one_line_that_helps(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.format: unknown data format 'folders'; did you mean 'folder'\?"):
        DataConfig("x", format="folders")
    (tmp_path / "set.docx").write_text("no patches")
    with pytest.raises(UserError, match=r"the format of .*set.docx is unknown; give one of: .*or set data.format"):
        open_source(DataConfig(str(tmp_path / "set.docx")))
    with pytest.raises(UserError, match=r"data.sensor: 'both' is an option of the format `so2sat`, but"):
        open_source(replace(npz(tmp_path).config, sensor="both"))
