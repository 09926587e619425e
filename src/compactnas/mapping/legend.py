"""Names and colours of the classes of a map."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

from compactnas.errors import UserError
from compactnas.lcz import CLASSES

MOST_CLASSES = 254
"""Largest number of classes of a map in bytes: 0 stands for no class, and 255 stays free."""

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
"""Colours of maps without LCZ: the ten default colours of Tableau and matplotlib. Further classes rotate the hue."""
GOLDEN = 0.618034
"""Share of the hue circle between successive colours: the golden ratio keeps all hues apart."""


@dataclass(frozen=True)
class LegendEntry:
    """A class in the legend of a map.

    Attributes:
        number: Number of the class in the map, from 1.
        label: Short label of the class; empty if the class only has a name.
        name: Name of the class.
        colour: "#RRGGBB".
    """

    number: int
    label: str
    name: str
    colour: str

    @property
    def text(self) -> str:
        """Label and name of the class."""
        return f"{self.label} {self.name}".strip()

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)


def legend(classes: Sequence[str], *, lcz: bool) -> tuple[LegendEntry, ...]:
    """Legend entries of a map's classes, in order; LCZ get WUDAPT's colours.

    Raises:
        UserError: There are more classes than a map in bytes can hold.
    """
    if lcz:
        return tuple(LegendEntry(zone.number, zone.label, zone.name, zone.colour) for zone in CLASSES)
    if len(classes) > MOST_CLASSES:
        raise UserError(
            f"the network has {len(classes)} classes, and a map holds at most {MOST_CLASSES}; use a network with fewer"
        )
    return tuple(LegendEntry(number, "", name, _colour(number - 1)) for number, name in enumerate(classes, 1))


def _colour(place: int) -> str:
    if place < len(PALETTE):
        return PALETTE[place]
    red, green, blue = colorsys.hls_to_rgb(place * GOLDEN % 1, 0.45 + 0.25 * (place % 2), 0.6)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"
