"""The plan of a city's zones."""

from __future__ import annotations

import numpy as np

from compactnas.synthetic.plan import _two_nearest


def test_the_two_nearest_centres_of_a_tile_are_those_of_all() -> None:
    rng = np.random.default_rng(0)
    cx, cy = rng.uniform(0, 3000, (2, 300)).astype(np.float32)
    for left, top in ((0, 0), (900, 1500), (2500, -400)):
        x, y = (rng.uniform(place, place + 400, (20, 30)).astype(np.float32) for place in (left, top))
        order = np.hypot(x[..., None] - cx, y[..., None] - cy).argsort(axis=-1, kind="stable")
        for found, expected in zip(_two_nearest(x, y, cx, cy), (order[..., 0], order[..., 1]), strict=True):
            np.testing.assert_array_equal(found, expected)
