"""Laws of the batches, the symmetries and the normalisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from compactnas.data import ArraySource, Facts, measure_normalization
from compactnas.data.batches import SYMMETRIES, Batches, moved, symmetry
from compactnas.errors import UserError


def source_of(patches: int, px: int = 3, dtype: type = np.uint16) -> ArraySource:
    """Patches whose pixels all differ, so that each tells its row and how it was turned."""
    images = np.arange(patches * 2 * px * px).reshape(patches, 2, px, px).astype(dtype)
    facts = Facts("made", ("a", "b"), ("x", "y", "z"), px, np.arange(patches) % 3)
    return ArraySource(facts, images)


@settings(max_examples=60, deadline=None)
@given(
    patches=st.integers(2, 60),
    batch_size=st.integers(1, 17),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 200),
    augment=st.sampled_from(["none", "dihedral"]),
    shuffle=st.booleans(),
    data=st.data(),
)
def test_an_epoch_is_a_pure_function_and_resumes_at_any_start(
    patches: int, batch_size: int, seed: int, epoch: int, augment: str, shuffle: bool, data: st.DataObject
) -> None:
    source, indices = source_of(100), np.sort(np.random.default_rng(1).permutation(100)[:patches])
    try:
        batches = Batches(source, indices, batch_size, seed=seed, stream=1, augment=augment, shuffle=shuffle)
    except UserError:
        assert shuffle and batch_size == 1
        return
    whole = list(batches.epoch(epoch))
    assert len(whole) == len(batches)
    start = data.draw(st.integers(0, len(batches)))
    rest = list(batches.epoch(epoch, start))
    assert len(rest) == len(whole) - start
    for (images, labels), (same_images, same_labels) in zip(whole[start:], rest, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)
    rows = np.concatenate([images.amin((1, 2, 3)).numpy() // 18 for images, _ in whole]).astype(int)
    left_out = 1 if shuffle and len(indices) % batch_size == 1 else 0
    assert len(rows) == len(set(rows)) == len(indices) - left_out
    assert set(rows) <= set(indices)
    np.testing.assert_array_equal(np.concatenate([labels.numpy() for _, labels in whole]), rows % 3)
    if not shuffle:
        np.testing.assert_array_equal(rows, indices)


def test_batches_are_raw_float32_with_int64_labels() -> None:
    for dtype in (np.uint8, np.uint16, np.int32, np.float32, np.float64):
        source = source_of(7, dtype=dtype)
        images, labels = next(Batches(source, np.arange(7), 7, seed=0, stream=0, shuffle=False).epoch(0))
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert images.is_contiguous()
        np.testing.assert_array_equal(images.numpy(), source.images)


def test_seed_stream_and_epoch_each_change_the_order() -> None:
    source, rows = source_of(50), np.arange(50)

    def order(seed: int, stream: int, epoch: int) -> tuple[int, ...]:
        images, _ = next(Batches(source, rows, 50, seed=seed, stream=stream).epoch(epoch))
        return tuple(images[:, 0, 0, 0].int().tolist())

    assert len({order(*numbers) for numbers in itertools.product((0, 1), repeat=3)}) == 8


def test_augmenting_does_not_change_the_order() -> None:
    source, rows = source_of(40), np.arange(40)
    plain = [labels for _, labels in Batches(source, rows, 16, seed=5, stream=0).epoch(2)]
    turned = [labels for _, labels in Batches(source, rows, 16, seed=5, stream=0, augment="dihedral").epoch(2)]
    assert all(torch.equal(one, other) for one, other in zip(plain, turned, strict=True))


def test_the_symmetries_are_the_group_of_the_square() -> None:
    square = torch.arange(16.0).reshape(1, 1, 4, 4)
    seen = [symmetry(square, element) for element in range(SYMMETRIES)]
    assert torch.equal(seen[0], square)
    assert len({tuple(image.flatten().tolist()) for image in seen}) == 8
    for one, other in itertools.product(range(SYMMETRIES), repeat=2):
        combined = symmetry(symmetry(square, one), other)
        assert sum(torch.equal(combined, image) for image in seen) == 1
    # Neighbours stay neighbours: a symmetry of the square and not just any shuffle.
    for image in seen:
        steps = (image[0, 0, :, 1:] - image[0, 0, :, :-1]).abs().unique()
        assert steps.tolist() in ([1.0], [4.0])


def test_each_patch_draws_its_own_symmetry_for_all_bands_alike() -> None:
    source, rows = source_of(800), np.arange(800)
    (images, labels), (plain, plain_labels) = (
        next(Batches(source, rows, 800, seed=3, stream=0, augment=augment, shuffle=False).epoch(0))
        for augment in ("dihedral", "none")
    )
    assert torch.equal(labels, plain_labels)
    variants = torch.stack([symmetry(plain, element) for element in range(SYMMETRIES)])
    same = (variants == images).all(-1).all(-1).all(-1)
    assert (same.sum(0) == 1).all()
    assert same.sum(1).min() > 60  # 100 of each on average


def test_a_moved_patch_is_a_window_of_the_mirrored_one() -> None:
    source, rows, most = source_of(300, 8), np.arange(300), 2
    plain, images = (
        next(Batches(source, rows, 300, seed=3, stream=0, shuffle=False, shift=shift).epoch(1))[0]
        for shift in (0, most)
    )
    side, wide = plain.shape[-1], functional.pad(plain, (most,) * 4, mode="reflect")
    ways = list(itertools.product(range(2 * most + 1), repeat=2))
    windows = torch.stack([wide[..., top : top + side, left : left + side] for top, left in ways])
    same = (windows == images).flatten(2).all(-1)
    assert (same.sum(0) == 1).all()
    assert same.any(1).all()  # 12 of each on average


def test_moving_changes_neither_order_nor_symmetries() -> None:
    source, rows = source_of(40, 5), np.arange(40)
    still, images = (
        next(Batches(source, rows, 40, seed=5, stream=0, augment="dihedral", shift=shift).epoch(2)) for shift in (0, 1)
    )
    assert torch.equal(still[1], images[1])
    wide = functional.pad(still[0], (1,) * 4, mode="reflect")
    side = images[0].shape[-1]
    windows = [wide[..., top : top + side, left : left + side] for top, left in itertools.product(range(3), repeat=2)]
    assert torch.stack([(window == images[0]).flatten(1).all(1) for window in windows]).any(0).all()


def test_moved_patches_are_the_same_in_both_memory_formats() -> None:
    images = torch.rand(5, 3, 4, 6)
    comes_from = torch.stack([torch.randperm(24) for _ in range(5)])
    last = moved(images.contiguous(memory_format=torch.channels_last), comes_from)
    assert torch.equal(moved(images, comes_from), last)


@pytest.mark.parametrize("shift", [-1, 8, 100])
def test_a_patch_is_not_moved_out_of_itself(shift: int) -> None:
    source = source_of(10)
    side = source.facts.patch_px
    with pytest.raises(UserError, match=rf"train.shift: {shift} px .* at most {side - 1}"):
        Batches(source, np.arange(10), 5, seed=0, stream=0, shift=shift)


@pytest.mark.parametrize(
    ("patches", "shuffle", "drop_last", "sizes"),
    [
        (12, True, False, [4, 4, 4]),
        (14, True, False, [4, 4, 4, 2]),
        (13, True, False, [4, 4, 4]),
        (13, False, False, [4, 4, 4, 1]),
        (15, True, True, [4, 4, 4]),
        (2, True, False, [2]),
    ],
)
def test_the_last_batch(patches: int, shuffle: bool, drop_last: bool, sizes: list[int]) -> None:
    batches = Batches(source_of(20), np.arange(patches), 4, seed=0, stream=0, shuffle=shuffle, drop_last=drop_last)
    assert [len(labels) for _, labels in batches.epoch(0)] == sizes
    assert len(batches) == len(sizes)


@pytest.mark.parametrize(("patches", "drop_last"), [(0, False), (1, False), (3, True)])
def test_no_batch_at_all_is_one_line(patches: int, drop_last: bool) -> None:
    with pytest.raises(UserError, match=f"{patches} patches make no batch of 4"):
        Batches(source_of(20), np.arange(patches), 4, seed=0, stream=0, drop_last=drop_last)


def test_normalisation_is_that_of_the_given_rows() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal([[[[3.0]], [[-200.0]]]], [[[[0.5]], [[40.0]]]], (1300, 2, 6, 6)).astype(np.float32)
    images[1200:] = 1e6
    source = ArraySource(Facts("made", ("a", "b"), ("x", "y"), 6, np.arange(1300) % 2), images)
    rows = rng.permutation(1200)
    found = measure_normalization(source, rows)
    exact = images[:1200].astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.std, exact.std((0, 2, 3)), rtol=1e-12)


def test_a_small_spread_on_a_large_mean_is_not_lost() -> None:
    images = (np.random.default_rng(0).normal(0, 1, (1100, 1, 4, 4)) + 1e9).astype(np.float64)
    source = ArraySource(Facts("made", ("a",), ("x", "y"), 4, np.arange(1100) % 2), images)
    found = measure_normalization(source, np.arange(1100))
    np.testing.assert_allclose(found.std, images.std(), rtol=1e-6)


def test_a_constant_band_is_divided_by_one() -> None:
    images = np.full((1000, 1, 3, 3), 0.1, np.float32)
    source = ArraySource(Facts("made", ("a",), ("x", "y"), 3, np.arange(1000) % 2), images)
    found = measure_normalization(source, np.arange(1000))
    assert found.std == (1.0,)
    np.testing.assert_allclose(found.mean, 0.1, rtol=1e-6)
