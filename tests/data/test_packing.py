"""Packed sets: what comes out is what went in, an interrupted preparation goes on, and a broken set is refused."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.data_files import MAKERS, Made, npz, so2sat_folder
from support.tiny import Killed, tiny_config

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.data import open_dataset, open_source
from compactnas.data.formats.packed import open_packed
from compactnas.data.packing import pack
from compactnas.data.packing.pack import prepare
from compactnas.data.samples import PackedSamples
from compactnas.errors import UserError
from compactnas.io.temporary import temporary_name
from compactnas.pipeline.running import search_stage


def test_a_full_disk_has_a_number_for_each_file_of_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy writes a file of its own without saying what the system said."""
    (tmp_path / "source").mkdir()
    made, fsync = so2sat_folder(tmp_path / "source"), os.fsync

    def full(descriptor: int) -> None:
        if "parts.npy" in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(pack, "SAVE_EVERY_S", 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as raised:
            prepare(made.config, tmp_path / "packed")
    assert raised.value.errno == errno.ENOSPC
    (half := tmp_path / "packed.part" / "set" / temporary_name(Path("keys.txt")).name).write_text("half")
    assert not (prepare(made.config, tmp_path / "packed") / half.name).exists()


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    (tmp_path / "source").mkdir()
    return request.param(tmp_path / "source")


def test_a_packed_set_holds_what_its_source_holds(made: Made, tmp_path: Path) -> None:
    source = open_source(made.config)
    path = prepare(made.config, tmp_path / "packed")
    packed = open_source(DataConfig(str(path), preload_gib=0.0))
    about = json.loads((path / "manifest.json").read_text())
    for name in ("bands", "classes", "patch_px", "lcz", "name"):
        assert getattr(packed.facts, name) == getattr(source.facts, name)
    np.testing.assert_array_equal(packed.facts.labels, source.facts.labels)
    assert list(packed.facts.keys or []) == list(source.facts.keys or [])
    assert set(packed.facts.parts) == set(source.facts.parts)
    for part, rows in source.facts.parts.items():
        np.testing.assert_array_equal(packed.facts.parts[part], rows)
    assert (packed.facts.groups is None) == (source.facts.groups is None)
    if source.facts.groups is not None:
        np.testing.assert_array_equal(packed.facts.groups, source.facts.groups)
    rows = np.random.default_rng(0).permutation(len(source.facts.labels))
    images, labels = packed.batch(rows)
    expected, classes = source.batch(rows)
    np.testing.assert_array_equal(labels, classes)
    np.testing.assert_allclose(images, expected, rtol=0, atol=about["largest_rounding_error"] + 1e-7)
    assert about["largest_rounding_error"] <= 5e-5 + 1e-9
    if expected.dtype.kind in "ui":
        np.testing.assert_array_equal(images, expected)
    everything = expected.transpose(1, 0, 2, 3).reshape(expected.shape[1], -1).astype(np.float64)
    for band, values in zip(packed.facts.bands, everything, strict=True):
        found = about["statistics"][band]
        assert found["mean"] == pytest.approx(values.mean(), rel=1e-5)
        assert found["std"] == pytest.approx(values.std(), rel=1e-4)
        lost = about["largest_rounding_error"] + 1e-6
        assert (found["min"], found["max"]) == pytest.approx((values.min(), values.max()), abs=lost)
    assert not list(tmp_path.glob("*.part"))


def test_reflectance_of_whole_ten_thousandths_comes_back_to_the_bit(tmp_path: Path) -> None:
    numbers = np.arange(65536).reshape(64, 1, 32, 32)
    np.savez(tmp_path / "set.npz", images=numbers / 10000, labels=np.arange(64) % 2)
    path = prepare(DataConfig(str(tmp_path / "set.npz")), tmp_path / "packed")
    images, _ = open_source(DataConfig(str(path))).batch(np.arange(64))
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, (numbers / 10000).astype(np.float32))
    assert json.loads((path / "manifest.json").read_text())["dtype"] == "uint16"


def test_what_ten_thousandths_cannot_hold_is_kept_as_float32(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(0, 1, (2000, 2, 8, 8)).astype(np.float32)
    images[:1500] = np.abs(images[:1500])  # what does not fit comes late
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(2000) % 2)
    config = DataConfig(str(tmp_path / "set.npz"))
    path = prepare(config, tmp_path / "packed")
    np.testing.assert_array_equal(open_source(DataConfig(str(path))).batch(np.arange(2000))[0], images)
    with pytest.raises(UserError, match="has values that do not fit uint16"):
        prepare(config, tmp_path / "other", "uint16")


def test_an_interrupted_preparation_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = npz(tmp_path)
    monkeypatch.setattr(pack, "CHUNK_BYTES", 7 * 4 * 4 * 64)
    monkeypatch.setattr(pack, "SAVE_EVERY_S", -1.0)
    whole = prepare(made.config, tmp_path / "whole")

    def kill(done: int, total: int) -> None:
        if done > total // 2:
            raise Killed

    with pytest.raises(Killed):
        prepare(made.config, tmp_path / "cut", progress=kill)
    assert not (tmp_path / "cut").exists()
    calls: list[int] = []
    prepare(made.config, tmp_path / "cut", progress=lambda done, total: calls.append(done))
    assert calls[0] > 20  # it went on, it did not begin again
    for file in sorted(whole.iterdir()):
        assert (tmp_path / "cut" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_changed_source_starts_the_preparation_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = npz(tmp_path)
    monkeypatch.setattr(pack, "CHUNK_BYTES", 7 * 4 * 4 * 64)
    monkeypatch.setattr(pack, "SAVE_EVERY_S", -1.0)

    def kill(done: int, total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        prepare(made.config, tmp_path / "cut", progress=kill)
    calls: list[int] = []
    config = replace(made.config, bands=(made.bands[1], made.bands[0]))
    prepare(config, tmp_path / "cut", progress=lambda done, total: calls.append(done))
    assert calls[0] < 20
    np.testing.assert_array_equal(
        open_source(DataConfig(str(tmp_path / "cut"))).batch(np.arange(5))[0], made.images[:5, [1, 0]]
    )


def test_samples_are_torchgeos(tmp_path: Path) -> None:
    made = so2sat_folder(tmp_path)
    path = prepare(made.config, tmp_path / "packed")
    samples, source = PackedSamples(path, "test"), open_source(made.config)
    rows = source.facts.parts["test"]
    assert len(samples) == len(rows)
    sample = samples[3]
    np.testing.assert_allclose(sample["image"].numpy(), source.batch(rows[[3]])[0][0], atol=5.1e-5)
    assert int(sample["label"]) == source.facts.labels[rows[3]]
    with pytest.raises(UserError, match="has no part"):
        PackedSamples(path, "night")


SMALL: dict[str, object] = {"nodes": 3, "blocks": 2}


def test_a_search_from_a_packed_set_ends_with_the_same_bytes(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 9000, (96, 4, 8, 8))
    split = np.where(np.arange(96) % 4 == 3, "test", "train")
    np.savez(tmp_path / "set.npz", images=(numbers / 10000).astype(np.float32), labels=np.arange(96) % 3, split=split)
    path = prepare(DataConfig(str(tmp_path / "set.npz")), tmp_path / "packed")
    for name, data in (("a", tmp_path / "set.npz"), ("b", path)):
        search_stage(tiny_config(data, space=SMALL, search={"augment": "dihedral"}), tmp_path / name)
    for name in ("genotype.json", "normalisation.json", "search/metrics.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_command_packs_and_says_what_it_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = npz(tmp_path)
    assert main(["prepare", made.config.path, str(tmp_path / "packed"), "--data.bands", "B04,B02"]) == 0
    assert "40 patches of 2 x 8 x 8, uint16, largest rounding error 0.0e+00" in capsys.readouterr().out
    assert open_source(DataConfig(str(tmp_path / "packed"))).facts.bands == ("B04", "B02")
    assert main(["prepare", str(tmp_path / "nothing"), str(tmp_path / "other")]) == 2
    assert "does not exist" in capsys.readouterr().err


def edited(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        about = json.loads((path / "manifest.json").read_text())
        change(about)
        (path / "manifest.json").write_text(json.dumps(about))

    return edit


def cut(name: str, keep: int) -> Callable[[Path], None]:
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:keep]) and None


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "manifest is not JSON": (lambda p: (p / "manifest.json").write_text("{"), "not JSON"),
    "manifest is a list": (lambda p: (p / "manifest.json").write_text("[]"), "is not of format"),
    "another format": (edited(lambda m: m.update(format="zarr")), "is not of format"),
    "no bands": (edited(lambda m: m.update(bands=[])), "`bands` is empty"),
    "bands are numbers": (edited(lambda m: m.update(bands=[1])), "not a list of names"),
    "a band twice": (edited(lambda m: m.update(bands=["a", "a", "b", "c"])), "names one twice"),
    "patches in words": (edited(lambda m: m.update(patches="many")), "`patches` is missing or not"),
    "no patches": (edited(lambda m: m.update(patches=0)), "not above 0"),
    "too many patches": (edited(lambda m: m.update(patches=10**12)), "says 1000000000000 patches"),
    "another dtype": (edited(lambda m: m.update(dtype="float32")), "the manifest says float32"),
    "a dtype of objects": (edited(lambda m: m.update(dtype="object")), "`dtype` must be one of"),
    "divisor of zero": (edited(lambda m: m.update(divisor=0)), "not above 0"),
    "images cut short": (cut("images.npy", 5000), "images.npy"),
    "images without a header": (cut("images.npy", 3), "images.npy"),
    "no images": (lambda p: (p / "images.npy").unlink(), "images.npy: cannot be read"),
    "labels of another shape": (lambda p: np.save(p / "labels.npy", np.zeros(3, np.int64)), "has shape"),
    "a label without a name": (lambda p: np.save(p / "labels.npy", np.full(40, 9)), "class that has no name"),
    "pickled labels": (lambda p: np.save(p / "labels.npy", np.array([{}] * 40)), "is not an array"),
    "a group without a name": (lambda p: np.save(p / "groups.npy", np.full(40, 99)), "group that has no name"),
    "an unknown part": (lambda p: np.save(p / "parts.npy", np.full(40, 9, np.uint8)), "holds a number above"),
    "too few keys": (lambda p: (p / "keys.txt").write_text("a\nb\n"), "has 2 lines"),
    "keys that are no text": (lambda p: (p / "keys.txt").write_bytes(b"\xff\xfe\n" * 40), "not text in UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_set_is_one_error_that_says_what_to_do(tmp_path: Path, name: str) -> None:
    path = prepare(npz(tmp_path).config, tmp_path / "packed")
    damage, expected = BROKEN[name]
    damage(path)
    with pytest.raises(UserError, match=expected) as caught:
        open_dataset(DataConfig(str(path), preload_gib=0.0))
    assert str(tmp_path) in str(caught.value) and "prepare" in str(caught.value)


def test_nothing_is_written_over_and_a_small_disk_is_seen_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = npz(tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="exists already"):
        prepare(made.config, tmp_path / "there")
    monkeypatch.setattr(pack, "SPARE_BYTES", 2**62)
    with pytest.raises(UserError, match="GiB are free"):
        prepare(made.config, tmp_path / "packed")
    assert not list(tmp_path.glob("packed*"))


def test_a_set_that_is_not_as_it_was_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hole is found when the set is opened; a single byte by `inspect`, which reads everything."""
    images = np.random.default_rng(0).integers(0, 255, (600, 4, 32, 32)).astype(np.uint8)
    np.savez(tmp_path / "patches.npz", images=images, labels=np.arange(600) % 3)
    prepare(DataConfig(str(tmp_path / "patches.npz")), tmp_path / "set")
    file = tmp_path / "set" / "images.npy"
    assert main(["inspect", str(tmp_path / "set")]) == 0
    assert "checksums of 4 files: as in the manifest" in capsys.readouterr().out
    content = bytearray(file.read_bytes())
    content[30_000] ^= 1  # between two pieces of the sample
    file.write_bytes(content)
    source = open_packed(tmp_path / "set")
    assert len(source.facts.labels) == 600
    assert main(["inspect", str(tmp_path / "set")]) == 2
    assert "images.npy: is not as it was written" in capsys.readouterr().err
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"images\.npy: is not as it was written"):
        open_packed(tmp_path / "set")
