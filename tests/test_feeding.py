"""Batches come to the device as they are, in their turn, whatever meets the thread that makes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from compactnas.data.feeding import AHEAD, Batch, fed
from compactnas.errors import UserError

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
    source = fed(batches(4, made), torch.device("cpu"), LAST)
    for number in range(4):
        assert made == list(range(number))
        images, labels = next(source)
        assert images.is_contiguous(memory_format=LAST) and (images == number).all() and len(labels) == number + 1
    assert next(source, None) is None


def test_a_device_is_kept_some_batches_ahead_and_gets_them_in_order() -> None:
    made: list[int] = []
    sizes = []
    for images, labels in fed(batches(7, made), META, LAST):
        assert images.device == META and labels.device == META and images.is_contiguous(memory_format=LAST)
        sizes.append(len(images))
        assert len(made) <= len(sizes) + AHEAD
    assert sizes == [1, 2, 3, 4, 5, 6, 7]


def test_an_error_comes_in_its_batchs_turn_and_a_reader_that_stops_leaves_no_thread() -> None:
    source = fed(batches(7, [], broken=3), META, LAST)
    assert [len(next(source)[0]) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(UserError, match="holds NaN"):
        next(source)
    before = threading.active_count()
    source = fed(batches(100, []), META, LAST)
    next(source)
    source.close()
    assert threading.active_count() <= before
