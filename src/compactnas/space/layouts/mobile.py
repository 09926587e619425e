"""`mobile`: three blocks of inverted residual layers, each the identity plus one searched operation.

The identity is not a candidate, and no candidate is free of charge, so a search cannot collapse to operations that
compute nothing. Half of the stem is normalised by patch, as in `lean`. Source: MobileNetV2 (Sandler et al. 2018),
ProxylessNAS (Cai, Zhu and Han 2019).
"""

from __future__ import annotations

from compactnas.space.layout import Layout

OPERATIONS = (
    "mb_k3_e1",
    "mb_k3_e2",
    "mb_k3_e3",
    "mb_k5_e1",
    "mb_k5_e2",
    "mb_k5_e3",
    "mb_k3_e6",
    "fused_k3_e2",
)
"""Kernels of 3 and 5 px with expansions of 1, 2 and 3, one with 6, and one without a depthwise convolution."""

LAYOUT = Layout(
    inputs=1,
    output="last",
    stem="half",
    stem_relu=True,
    head="relu",
    reduction="searched",
    residual=True,
    free_channels=True,
    has_widths=True,
    least_channels=2,
    why_least="which normalises two halves",
    operations=OPERATIONS,
)
