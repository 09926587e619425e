"""Draw the macro network as a chain: stem, blocks of cells with their depth, fixed reductions, classifier."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from compactnas.reporting.figures.svg import TIMES, Number, drawing, element, line, text
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS

MIDDLE_Y, HEIGHT = 74.0, 158.0
CELL_PX, CELL_GAP, BLOCK_PX = 18.0, 6.0, 150.0
ARROW_PX = 26.0


def backbone_figure(genotype: Genotype, bands: int | None, classes: int | None, patch_px: int | None) -> ET.Element:
    """Draw the whole network of a genotype; unknown sizes of its input and output are left out."""
    layout = LAYOUTS[genotype.layout]
    image = f"{bands} bands" if bands else "bands"
    side = f"{patch_px}{TIMES}{patch_px} px" if patch_px else ""
    parts: list[ET.Element] = []
    x = _station(parts, 12.0, "patch", (image, side), 62, "cn-box")
    x = _arrow(parts, x)
    stem = layout.stem_multiplier * genotype.block_channels[0]
    x = _station(parts, x, "stem", (f"conv 3{TIMES}3", f"{stem} channels"), 62, "cn-box")
    reduction = layout.reduction if layout.reduction in ("separable", "searched") else "fixed"
    unit = "layer" if layout.residual else "cell"
    for block, depth in enumerate(genotype.depths):
        x = _arrow(parts, x)
        if block:
            x = _station(parts, x, "reduce", (reduction, "stride 2"), 50 * 0.86**block, "cn-box")
            x = _arrow(parts, x)
        size = -(-patch_px // 2**block) if patch_px else None  # a stride of 2 rounds up
        x = _block(parts, x, block, depth, genotype.block_channels[block], size, unit=unit)
    x = _arrow(parts, x)
    x = _station(parts, x, "classify", ("mean, linear", f"{classes} classes" if classes else "classes"), 40, "cn-end")
    label = f"Backbone, layout {genotype.layout}: blocks of {', '.join(map(str, genotype.depths))} {unit}s"
    return drawing(x + 12, HEIGHT, label, *parts, least=min(x, 720), grow=1.25)


def _station(
    parts: list[ET.Element], x: float, name: str, notes: tuple[str, str], height: Number, class_: str
) -> float:
    """Draw a fixed part of the network, and return its right side."""
    width, column = 40.0, 78.0
    centre = x + column / 2
    box = element(
        "rect", x=centre - width / 2, y=MIDDLE_Y - height / 2, width=width, height=height, rx=6, class_=class_
    )
    parts += [box, *_captions(centre, name, notes)]
    return x + column


def _block(
    parts: list[ET.Element], x: float, block: int, depth: int, channels: int, size: int | None, *, unit: str
) -> float:
    """Draw a block with a bar for each cell or layer, and return its right side."""
    pitch = min(CELL_PX + CELL_GAP, BLOCK_PX / depth)
    width = max(pitch * depth + 16, 92.0)
    height = max(64 * 0.86**block, 26.0)
    centre, first = x + width / 2, x + (width - pitch * depth + CELL_GAP * pitch / (CELL_PX + CELL_GAP)) / 2
    frame = element("rect", x=x, y=MIDDLE_Y - height / 2 - 8, width=width, height=height + 16, rx=10, class_="cn-frame")
    cells = [
        element(
            "rect",
            x=first + cell * pitch,
            y=MIDDLE_Y - height / 2,
            width=pitch * CELL_PX / (CELL_PX + CELL_GAP),
            height=height,
            rx=min(5.0, pitch / 5),
            class_="cn-block cn-accent",
        )
        for cell in range(depth)
    ]
    notes = (f"{depth} {unit}" + "s" * (depth > 1), f"{channels} ch" + (f", {size} px" if size else ""))
    parts += [frame, *cells, *_captions(centre, f"block {block + 1}", notes, strong=True)]
    return x + width


def _captions(centre: float, name: str, notes: tuple[str, str], strong: bool = False) -> list[ET.Element]:
    return [
        text(centre, 18, name, "cn-strong", "middle"),
        text(centre, HEIGHT - 26, notes[0], "cn-strong" if strong else "cn-small", "middle"),
        text(centre, HEIGHT - 10, notes[1], "cn-small", "middle"),
    ]


def _arrow(parts: list[ET.Element], x: float) -> float:
    parts += [
        line(x + 2, MIDDLE_Y, x + ARROW_PX - 8, MIDDLE_Y, "cn-wire"),
        element("path", d=f"M{x + ARROW_PX - 2:.1f} {MIDDLE_Y:.1f}l-8 -4.5v9z", class_="cn-wire-end"),
    ]
    return x + ARROW_PX
