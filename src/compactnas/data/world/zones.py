"""Which painter draws which class."""

from __future__ import annotations

from collections.abc import Callable

from compactnas.data.world import industry, natural, urban
from compactnas.data.world.canvas import Canvas

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
"""Draws a zone of LCZ index 0 to 16 (LCZ 1 to 10, A to G) on its canvas."""
