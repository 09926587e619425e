"""Colours of classes in reports: those of maps."""

from __future__ import annotations

from collections.abc import Sequence

from compactnas import lcz
from compactnas.mapping.legend import MOST_CLASSES, legend


def class_colours(classes: Sequence[str]) -> tuple[str, ...]:
    """List the colour of each class, "#RRGGBB"; empty texts if there are more classes than a map holds."""
    if len(classes) > MOST_CLASSES:
        return ("",) * len(classes)
    return tuple(entry.colour for entry in legend(classes, lcz=tuple(classes) == lcz.NAMES))
