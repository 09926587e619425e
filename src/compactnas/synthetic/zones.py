"""Painters of the classes, and the classes that appear inside each class."""

from __future__ import annotations

from collections.abc import Callable

from compactnas.synthetic import industry, natural, urban
from compactnas.synthetic.canvas import Canvas

PAINTERS: tuple[Callable[[Canvas], None], ...] = (
    urban.compact_high_rise,
    urban.compact_mid_rise,
    urban.compact_low_rise,
    urban.open_high_rise,
    urban.open_mid_rise,
    urban.open_low_rise,
    urban.lightweight_low_rise,
    industry.large_low_rise,
    urban.sparsely_built,
    industry.heavy_industry,
    natural.dense_trees,
    natural.scattered_trees,
    natural.bush,
    natural.low_plants,
    natural.bare_rock_or_paved,
    natural.bare_soil_or_sand,
    natural.water,
)
"""Functions that paint a zone of LCZ index 0 to 16 (LCZ 1 to 10, A to G) on its canvas."""

COMPANIONS: tuple[tuple[int, ...], ...] = (
    (1, 7),
    (0, 2, 4),
    (1, 5, 7),
    (4, 1),
    (3, 5, 7),
    (4, 8, 2),
    (2, 12),
    (9, 4, 13),
    (13, 11, 5),
    (7, 14),
    (11, 12),
    (10, 12, 13),
    (11, 13, 15),
    (12, 15, 11),
    (7, 12),
    (13, 12),
    (),
)
"""LCZ indices of small areas that appear inside each class: a supermarket in a suburb, a grove in a meadow."""
