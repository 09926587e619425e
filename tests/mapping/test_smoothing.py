"""WUDAPT's Gaussian filter: equal to its definition cell by cell, and the laws that it keeps."""

from __future__ import annotations

from fractions import Fraction
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from compactnas.mapping.smoothing import HALO_M, UNIT, smoothed

WIDTHS = {1: (200, 100), 8: (500, 250), 10: (500, 250), 16: (200, 75), 17: (50, 25)}
WIDTHS |= dict.fromkeys((2, 3, 4, 5, 6, 7, 9, 15), (300, 150)) | dict.fromkeys((11, 12, 13, 14), (200, 75))

MAPS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 17))
SIDES = st.sampled_from((30.0, 50.0, 80.0, 100.0, 250.0, 1000.0))


def by_definition(labels: np.ndarray, cell_m: float) -> np.ndarray:
    """The same by loops over cells and exact fractions."""
    result = np.zeros_like(labels)
    for row, column in np.argwhere(labels):
        shares: dict[int, Fraction] = {}
        for number, (radius, sigma) in WIDTHS.items():
            hits = known = 0
            for r, c in np.argwhere(labels):
                down, right = abs(r - row) * cell_m, abs(c - column) * cell_m
                if max(down, right) <= radius:
                    weight = round(UNIT * exp(-(down**2) / (2 * sigma**2))) * round(
                        UNIT * exp(-(right**2) / (2 * sigma**2))
                    )
                    known += weight
                    hits += weight * bool(labels[r, c] == number)
            shares[number] = Fraction(hits, known)
        most = max(shares.values())
        winners = sorted(number for number, share in shares.items() if share == most)
        own = int(labels[row, column])
        result[row, column] = own if own in winners else winners[0]
    return result


@pytest.mark.parametrize("cell_m", [100.0, 80.0])
@pytest.mark.parametrize("classes", [range(18), (0, 2, 8), (5, 14, 17)], ids=["all", "two built", "three"])
def test_equals_its_definition(cell_m: float, classes: range) -> None:
    labels = np.random.default_rng(len(classes)).choice(np.array(classes, np.uint8), (9, 13))
    np.testing.assert_array_equal(smoothed(labels, cell_m), by_definition(labels, cell_m))


def test_a_lone_cell_yields_and_a_lone_lake_stays() -> None:
    labels = np.full((15, 15), 6, np.uint8)
    labels[4, 4], labels[10, 10] = 2, 17
    expected = np.full((15, 15), 6, np.uint8)
    expected[10, 10] = 17  # its radius of 50 m is less than a cell
    np.testing.assert_array_equal(smoothed(labels, 100.0), expected)


def test_a_wide_class_takes_the_ragged_edge_of_a_narrow_one() -> None:
    labels = np.full((21, 21), 14, np.uint8)
    labels[:, 11:] = 8
    labels[10, 12:14] = 14
    assert (smoothed(labels, 100.0)[10, 12:14] == 8).all()


def test_where_two_are_equal_the_cell_keeps_its_own_and_a_third_takes_the_lower() -> None:
    half_m = 150 * sqrt(2 * log(2))  # a neighbour at this distance weighs half as much as the cell
    for row in ([5, 4, 5], [4, 5, 4]):
        assert smoothed(np.array([row], np.uint8), half_m)[0, 1] == row[1]
    between = np.zeros((7, 7), np.uint8)
    between[:3], between[3, 3], between[4:] = 5, 9, 4
    assert smoothed(between, 100.0)[3, 3] == 4
    assert smoothed(np.flipud(between).copy(), 100.0)[3, 3] == 4


@settings(deadline=None)
@given(st.integers(1, 17), array_shapes(min_dims=2, max_dims=2, max_side=12), SIDES)
def test_a_map_of_one_class_stays(number: int, shape: tuple[int, ...], cell_m: float) -> None:
    labels = np.full(shape, number, np.uint8)
    np.testing.assert_array_equal(smoothed(labels, cell_m), labels)


@settings(deadline=None)
@given(MAPS, SIDES)
def test_what_has_no_class_stays_so_and_no_class_is_made(labels: np.ndarray, cell_m: float) -> None:
    result = smoothed(labels, cell_m)
    np.testing.assert_array_equal(result == 0, labels == 0)
    assert set(np.unique(result)) <= set(np.unique(labels))


@settings(deadline=None)
@given(MAPS, SIDES)
def test_turning_the_map_turns_the_result(labels: np.ndarray, cell_m: float) -> None:
    result = smoothed(labels, cell_m)
    for turn in (np.flipud, np.fliplr, np.transpose):
        np.testing.assert_array_equal(smoothed(turn(labels).copy(), cell_m), turn(result))


@settings(deadline=None)
@given(arrays(np.uint8, (40, 5), elements=st.sampled_from((0, 2, 6, 8, 14, 17))), st.integers(1, 39))
def test_parts_with_a_halo_make_the_whole(labels: np.ndarray, cut: int) -> None:
    halo = int(HALO_M / 100)
    upper = smoothed(labels[: cut + halo], 100.0)[:cut]
    lower = smoothed(labels[max(0, cut - halo) :], 100.0)[min(cut, halo) :]
    np.testing.assert_array_equal(np.concatenate((upper, lower)), smoothed(labels, 100.0))


def test_water_never_moves_on_cells_of_100_m() -> None:
    labels = np.random.default_rng(4).integers(0, 18, (30, 30)).astype(np.uint8)
    np.testing.assert_array_equal(smoothed(labels, 100.0) == 17, labels == 17)
