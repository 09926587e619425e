"""`nasnet`: the NASNet-like network of GDAS and DARTS, whose cells have two inputs."""

from __future__ import annotations

from compactnas.space.layout import Layout

LAYOUT = Layout(
    inputs=2,
    output="concat",
    preprocess=True,
    stem_multiplier=3,
    reduction="factorized",
    least_nodes=4,
    why_least="the width of its reduction",
)
