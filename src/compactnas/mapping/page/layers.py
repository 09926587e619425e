"""Layers of a map's page: planes of bytes with a colour, a text and a share for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from jaxtyping import UInt8

from compactnas.mapping.legend import LegendEntry

Plane = UInt8[np.ndarray, "rows columns"]

BIN = 10
"""Width of the steps in the legend of probabilities, in percent."""
AGREES, DIFFERS = 1, 2
"""Values of the layer of agreement; 0 is no comparison."""
PALETTE = 17
"""Smallest number of colours in a palette."""


@dataclass(frozen=True)
class LegendRow:
    """A row of a legend: values of a layer that share a colour.

    Attributes:
        first: First of its values.
        last: Last of its values.
        label: Short label, shown on the colour.
        name: Name of the values.
        colour: "#RRGGBB".
    """

    first: int
    last: int
    label: str
    name: str
    colour: str


@dataclass(frozen=True)
class Layer:
    """A layer of the page.

    Attributes:
        key: Identifier, unique on the page.
        name: Name of the layer.
        values: Value of each cell; 0 is transparent and has no text.
        colours: Colour of each value from 1 on, "#RRGGBB".
        texts: Text of each value from 1 on.
        legend: Rows of the legend.
        note: What the layer shows, as one sentence.
    """

    key: str
    name: str
    values: Plane
    colours: tuple[str, ...]
    texts: tuple[str, ...]
    legend: tuple[LegendRow, ...]
    note: str


def classes(key: str, name: str, labels: Plane, legend: Sequence[LegendEntry], note: str) -> Layer:
    """Make a layer of classes."""
    rows = tuple(LegendRow(each.number, each.number, each.label, each.name, each.colour) for each in legend)
    return Layer(key, name, labels, tuple(e.colour for e in legend), tuple(e.text for e in legend), rows, note)


def confidence(percent: Plane) -> Layer:
    """Make the layer of the largest probability, 1 to 100 percent."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    colours = tuple(to_hex(colormaps["cividis"](share / 100)).upper() for share in range(1, 101))
    rows = tuple(
        LegendRow(max(1, low), high, str(low), f"{low} to {high} %", colours[(low + high) // 2 - 1])
        for low, high in [(90, 100), *((low, low + BIN - 1) for low in range(80, -1, -BIN))]
    )
    note = "Probability of the most probable class. A low value says that the network hesitated, not that it is wrong."
    return Layer("confidence", "Confidence", percent, colours, tuple(f"{n} %" for n in range(1, 101)), rows, note)


def agreement(mapped: Plane, truth: Plane) -> Layer:
    """Make the layer that shows where a map has the class of its reference."""
    both = (mapped > 0) & (truth > 0)
    values = np.where(both, np.where(mapped == truth, AGREES, DIFFERS), 0).astype(np.uint8)
    colours, texts = ("#009E73", "#D55E00"), ("agrees", "differs")
    rows = (LegendRow(1, 1, "=", "agrees", colours[0]), LegendRow(2, 2, "≠", "differs", colours[1]))
    note = "Cells that have a class in the map and in the reference; the others stay clear."
    return Layer("agreement", "Agreement", values, colours, texts, rows, note)


def palette_png(values: Plane, colours: Sequence[str]) -> bytes:
    """Encode a plane as PNG with a palette, the value of a cell as its index; 0 is transparent.

    The script of the page reads the values from the bytes of the file. Pillow never filters rows of palette indices,
    and gives each index 8 bits if the palette has more than 16 colours.
    """
    from PIL import Image

    image = Image.fromarray(values)
    palette = [0, 0, 0, *(int(colour[at : at + 2], 16) for colour in colours for at in (1, 3, 5))]
    image.putpalette(palette + [0] * (3 * PALETTE - len(palette)))
    buffer = BytesIO()
    image.save(buffer, "PNG", transparency=0, compress_level=9)
    return buffer.getvalue()


def jpeg(pixels: UInt8[np.ndarray, "height width 3"], most_bytes: int) -> bytes:
    """Encode a picture as JPEG of at most this size: first with less quality, then with fewer pixels."""
    from PIL import Image

    image = Image.fromarray(pixels)
    while True:
        for quality in (85, 70, 55):
            buffer = BytesIO()
            image.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() <= most_bytes or max(image.size) < 64:
                return buffer.getvalue()
        image = image.reduce(2)
