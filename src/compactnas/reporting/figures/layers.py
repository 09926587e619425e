"""Draw the layers of a network block by block: the picture of a layout that has layers instead of cells."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from compactnas.reporting.figures.operations import operation_label
from compactnas.reporting.figures.svg import drawing, element, line, text, text_px
from compactnas.space.genotype import Genotype
from compactnas.space.layer_rows import LayerRows

ROW_PX, BOX_PX, GAP_PX, LEFT_PX, TOP_PX = 66.0, 28.0, 26.0, 104.0, 30.0
REDUCTION = "reduce"


def layers_figure(genotype: Genotype) -> ET.Element:
    """Draw each block as a row of its operations. A line above a layer is its identity; a reduction has none."""
    parts: list[ET.Element] = []
    right, words = 0.0, []
    for block, names in enumerate(operations_by_block(genotype)):
        y = TOP_PX + block * ROW_PX + ROW_PX / 2
        parts += [
            text(12, y - 1, f"block {block + 1}", "cn-strong"),
            text(12, y + 15, f"{genotype.block_channels[block]} channels", "cn-small"),
        ]
        x = LEFT_PX
        for place, name in enumerate(names):
            x = _box(parts, x, y, name, reduction=bool(block) and not place)
        parts.append(line(x, y, x + 16, y, "cn-wire"))  # where the last identity joins
        right = max(right, x + 16)
        words.append(f"block {block + 1}: {', '.join(map(operation_label, names))}")
    label = f"Layers, layout {genotype.layout}: {'; '.join(words)}"
    height = TOP_PX + len(genotype.depths) * ROW_PX + 4
    return drawing(right + 12, height, label, *parts, least=min(right, 620), grow=1.25)


def operations_by_block(genotype: Genotype) -> list[list[str]]:
    """List the operations of each block of a network of layers; all blocks but the first begin with their reduction."""
    rows = genotype.rows
    found = []
    for block, depth in enumerate(genotype.depths):
        places = [rows.reduction(block)] if block else []
        places += [rows.layer(block, layer) for layer in range(depth)]
        found.append([genotype.nodes[place][0][0] for place in places])
    return found


def row_names(rows: int, blocks: int) -> list[str]:
    """Name the rows of alpha of a space of layers.

    Args:
        rows: Number of rows.
        blocks: Number of blocks.
    """
    if rows == blocks:
        return [f"block {block + 1}" for block in range(blocks)]
    layers = layer_rows(rows, blocks)
    names = [""] * rows
    for block, depth in enumerate(layers.depths):
        if block:
            names[layers.reduction(block)] = f"block {block + 1}, {REDUCTION}"
        for layer in range(depth):
            names[layers.layer(block, layer)] = f"block {block + 1}, layer {layer + 1}"
    return names


def layer_rows(rows: int, blocks: int) -> LayerRows:
    """Find the rows of a space of layers from their number."""
    if rows == blocks:
        return LayerRows("block", (1,) * blocks)
    return LayerRows("layer", ((rows - blocks + 1) // blocks,) * blocks)


def _box(parts: list[ET.Element], x: float, y: float, name: str, *, reduction: bool) -> float:
    """Draw one operation with the line that leads to it, and return its right side."""
    words = operation_label(name)
    width = text_px(words) + 20
    left = x + GAP_PX
    parts.append(line(x, y, left - 6, y, "cn-wire"))
    parts.append(element("path", d=f"M{left - 1:.1f} {y:.1f}l-8 -4.5v9z", class_="cn-wire-end"))
    if reduction:
        parts.append(text(left + width / 2, y - BOX_PX / 2 - 6, "stride 2", "cn-small", "middle"))
    else:
        above, start, end = y - BOX_PX / 2 - 8, x + 8, left + width + 8
        parts.append(
            element("path", d=f"M{start:.1f} {y:.1f}V{above:.1f}H{end:.1f}V{y:.1f}", class_="cn-wire", fill="none")
        )
    parts.append(
        element(
            "g",
            element("title", f"{name}, {'stride 2' if reduction else 'beside the identity'}"),
            element("rect", x=left, y=y - BOX_PX / 2, width=width, height=BOX_PX, rx=7, class_="cn-pill"),
            text(left + width / 2, y + 4, words, "", "middle"),
            class_=f"cn-{name}",
        )
    )
    return left + width
