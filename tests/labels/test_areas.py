"""Connected areas, found in strips, are those of a flood fill over the whole raster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compactnas.labels.areas import Areas, area_names


def by_flood(labels: np.ndarray) -> np.ndarray:
    """First pixel of each pixel's area, -1 for no label: a plain flood fill over the eight neighbours."""
    found = np.full(labels.shape, -1)
    for row, column in np.ndindex(labels.shape):
        if labels[row, column] and found[row, column] < 0:
            found[row, column], stack = row * labels.shape[1] + column, [(row, column)]
            while stack:
                r, c = stack.pop()
                for near in np.ndindex(3, 3):
                    y, x = r + near[0] - 1, c + near[1] - 1
                    inside = 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]
                    if inside and labels[y, x] == labels[row, column] and found[y, x] < 0:
                        found[y, x] = found[row, column]
                        stack.append((y, x))
    return found


def in_strips(labels: np.ndarray, rows: int) -> np.ndarray:
    areas = Areas(labels.shape[1])
    parts = np.concatenate([areas.add(labels[start : start + rows]) for start in range(0, len(labels), rows)])
    return areas.firsts()[parts]


@settings(deadline=None)  # the first call imports scipy
@given(arrays(np.uint8, (9, 8), elements=st.sampled_from([0, 1, 2, 17])), st.integers(1, 9))
def test_areas_in_strips_are_those_of_a_flood_fill(labels: np.ndarray, rows: int) -> None:
    np.testing.assert_array_equal(in_strips(labels, rows), by_flood(labels))


@pytest.mark.parametrize("rows", [1, 3, 20])
def test_a_spiral_is_one_area(rows: int) -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[::4] = 5
    labels[:, 0] = labels[:, -1] = 5
    labels[2::4, 2:-2] = 5  # bars that touch nothing
    found = in_strips(labels, rows)
    assert set(np.unique(found)) == {-1, 0, *(row * 20 + 2 for row in range(2, 20, 4))}


def test_an_area_is_named_by_its_first_pixel() -> None:
    assert area_names(np.array([0, 41]), 20) == ["area 0/0", "area 2/1"]
