"""Batches come to the device as they are, in their turn, whatever meets the thread that makes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import tiny_config, write_patches

from compactnas.config import DataConfig
from compactnas.data import open_source
from compactnas.data.batches import Batches
from compactnas.data.device_cache import on_device
from compactnas.data.formats.packed import open_packed
from compactnas.data.packing.pack import prepare
from compactnas.data.prefetch import AHEAD, Batch, prefetched
from compactnas.errors import UserError
from compactnas.pipeline.running import run

LAST = torch.channels_last
# No pixel is held on it, but everything that is not the CPU goes the same way.
META = torch.device("meta")


def batches(count: int, made: list[int], broken: int = -1) -> Iterator[Batch]:
    for number in range(count):
        if number == broken:
            raise UserError("row 7: holds NaN")
        made.append(number)
        yield torch.full((number + 1, 3, 4, 4), float(number)), torch.arange(number + 1)


def test_on_the_cpu_a_batch_is_made_when_it_is_asked_for() -> None:
    made: list[int] = []
    source = prefetched(batches(4, made), torch.device("cpu"), LAST)
    for number in range(4):
        assert made == list(range(number))
        images, labels = next(source)
        assert images.is_contiguous(memory_format=LAST) and (images == number).all() and len(labels) == number + 1
    assert next(source, None) is None


def test_a_device_is_kept_some_batches_ahead_and_gets_them_in_order() -> None:
    made: list[int] = []
    sizes = []
    for images, labels in prefetched(batches(7, made), META, LAST):
        assert images.device == META and labels.device == META and images.is_contiguous(memory_format=LAST)
        sizes.append(len(images))
        assert len(made) <= len(sizes) + AHEAD
    assert sizes == [1, 2, 3, 4, 5, 6, 7]


def test_an_error_comes_in_its_batchs_turn_and_a_reader_that_stops_leaves_no_thread() -> None:
    source = prefetched(batches(7, [], broken=3), META, LAST)
    assert [len(next(source)[0]) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(UserError, match="holds NaN"):
        next(source)
    before = threading.active_count()
    source = prefetched(batches(100, []), META, LAST)
    next(source)
    source.close()
    assert threading.active_count() <= before


@pytest.mark.parametrize("kind", ["uint16", "uint8", "float32"])
def test_a_resident_set_gives_the_same_batches_to_the_bit(tmp_path: Path, kind: str) -> None:
    numbers = np.random.default_rng(0).integers(0, 250 if kind == "uint8" else 65000, (40, 4, 8, 8))
    images = numbers / np.float32(1e4) if kind == "float32" else numbers.astype(kind)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(40) % 3)
    plain = open_source(DataConfig(str(tmp_path / "set.npz")))
    packed = open_packed(prepare(DataConfig(str(tmp_path / "set.npz")), tmp_path / "packed"), ("band3", "band1"))
    for source in (plain, packed):
        there = on_device(source, torch.device("cpu"))
        assert there.facts is source.facts
        for augment in ("none", "dihedral"):
            host, device = (
                Batches(s, np.arange(3, 40), 16, seed=7, stream=1, augment=augment).epoch(2) for s in (source, there)
            )
            for (x, y), (x_there, y_there) in zip(host, device, strict=True):
                assert torch.equal(x, x_there) and torch.equal(y, y_there)
    bits = {"uint16": torch.int16, "uint8": torch.uint8, "float32": torch.int16}
    assert there.stored.dtype == bits[kind]  # a packed set keeps its 16 bits


def test_a_run_on_resident_data_ends_with_the_same_bytes(tmp_path: Path) -> None:
    small: dict[str, object] = {"nodes": 3, "blocks": 2}
    config = tiny_config(write_patches(tmp_path / "set.npz"), space=small, search={"augment": "dihedral"})
    for name, there in (("a", False), ("b", True)):
        run(replace(config, machine=replace(config.machine, data_on_device=there)), tmp_path / name)
    for name in ("search/metrics.jsonl", "train/metrics.jsonl", "genotype.json", "evaluation.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
