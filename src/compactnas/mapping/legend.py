"""How the classes of a map are named and coloured."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

from compactnas.errors import UserError
from compactnas.lcz import CLASSES

MOST_CLASSES = 254
"""Of a map in bytes: 0 stands for no class, 255 is left free."""

PALETTE = (
    "#1F77B4",
    "#FF7F0E",
    "#2CA02C",
    "#D62728",
    "#9467BD",
    "#8C564B",
    "#E377C2",
    "#7F7F7F",
    "#BCBD22",
    "#17BECF",
)
"""Of maps that are of no LCZ: the ten colours that Tableau and matplotlib begin with; further classes turn the hue."""
GOLDEN = 0.618034
"""Turns of the hue by this share never come near one that was."""


@dataclass(frozen=True)
class LegendEntry:
    """One class.

    Attributes:
        number: Number of the class in the map, from 1.
        label: short, as people write it; empty where the name is all there is.
        name: Name of the class.
        colour: "#RRGGBB".
    """

    number: int
    label: str
    name: str
    colour: str

    @property
    def text(self) -> str:
        """Label and name."""
        return f"{self.label} {self.name}".strip()

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour's red, green and blue, 0 to 255."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)


def legend(classes: Sequence[str], *, lcz: bool) -> tuple[LegendEntry, ...]:
    """The classes of a map in order: WUDAPT's colours for LCZ, others for others.

    Errors:
        UserError: more classes than a map in bytes can tell apart.
    """
    if lcz:
        return tuple(LegendEntry(zone.number, zone.label, zone.name, zone.colour) for zone in CLASSES)
    if len(classes) > MOST_CLASSES:
        raise UserError(f"the network has {len(classes)} classes; a map takes at most {MOST_CLASSES}")
    return tuple(LegendEntry(number, "", name, _colour(number - 1)) for number, name in enumerate(classes, 1))


def _colour(place: int) -> str:
    if place < len(PALETTE):
        return PALETTE[place]
    red, green, blue = colorsys.hls_to_rgb(place * GOLDEN % 1, 0.45 + 0.25 * (place % 2), 0.6)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"
