"""`lean`: the paper's network with cheaper reductions and a stem that normalises half of its channels by patch."""

from __future__ import annotations

from compactnas.space.layout import Layout

LAYOUT = Layout(
    inputs=1,
    output="last",
    stem="half",
    reduction="separable",
    has_widths=True,
    least_channels=2,
    why_least="which normalises two halves",
)
