"""Draw the cell of a genotype as a graph."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from compactnas.reporting.figures.layers import layers_figure
from compactnas.reporting.figures.operations import operation_label
from compactnas.reporting.figures.svg import CHARACTER_PX, MINUS, drawing, element, line, standalone, text
from compactnas.reporting.figures.wiring import LANE_PX, MARGIN_PX, NODE_HEIGHT, Edge, Route, Wiring, wire
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS

BUS_PX = 26.0
CORNER_PX = 14.0


def draw_cell(genotype: Genotype) -> str:
    """Draw a cell as the text of an SVG file: states are nodes, operations are labelled and coloured edges."""
    return standalone(cell_figure(genotype))


def cell_figure(genotype: Genotype) -> ET.Element:
    """Draw a cell as a figure for the report; if a network has layers instead, draw them."""
    layout = LAYOUTS[genotype.layout]
    if layout.residual:
        return layers_figure(genotype)
    inputs, columns = layout.inputs, layout.inputs + len(genotype.nodes)
    concat = layout.output == "concat"
    edges = [Edge(name, source, inputs + node) for node, row in enumerate(genotype.nodes) for name, source in row]
    wiring = wire(edges, columns, inputs, tapped=concat)
    width = wiring.left[-1] + wiring.width[-1] + MARGIN_PX + (90 if concat else 0)
    bottom = wiring.row_y + NODE_HEIGHT / 2 + wiring.reach(1)
    height = bottom + MARGIN_PX + (BUS_PX if concat else 0)
    label = f"Cell of {len(genotype.nodes)} computed nodes, layout {genotype.layout}: " + "; ".join(
        f"{state_name(e.source, inputs)} to {state_name(e.target, inputs)} {operation_label(e.operation)}"
        for e in edges
    )
    idle = genotype.idle_states
    parts = [] if not concat else _concatenation(wiring, bottom + BUS_PX / 2)
    for route in wiring.routes:
        ends = f"{state_name(route.edge.source, inputs)} → {state_name(route.edge.target, inputs)}"
        parts.append(_edge(route, wiring, ends, faint=not idle.isdisjoint((route.edge.source, route.edge.target))))
    parts += [_node(genotype, column, wiring, faint=column in idle) for column in range(columns)]
    parts += [_pill(route, wiring) for route in wiring.routes]
    return drawing(width, height, label, *parts, least=min(width, 620), grow=1.25)


def state_name(state: int, inputs: int) -> str:
    """Name a state in figures: with one input it is node 0, as in the paper; DARTS has two named inputs."""
    if inputs == 1:
        return str(state)
    return (f"k{MINUS}2", f"k{MINUS}1")[state] if state < inputs else str(state - inputs)


def _caption(genotype: Genotype, column: int) -> str:
    layout = LAYOUTS[genotype.layout]
    if column < layout.inputs:
        return "input"
    last = column == layout.inputs + len(genotype.nodes) - 1
    return "output" if layout.output == "last" and last else "sum"


def _node(genotype: Genotype, column: int, wiring: Wiring, *, faint: bool) -> ET.Element:
    caption = _caption(genotype, column)
    x, width, y = wiring.left[column], wiring.width[column], wiring.row_y
    solid = caption == "output"
    return element(
        "g",
        element(
            "rect",
            x=x,
            y=y - NODE_HEIGHT / 2,
            width=width,
            height=NODE_HEIGHT,
            rx=10,
            class_="cn-end" if solid else "cn-box",
        ),
        text(
            x + width / 2,
            y - 1,
            state_name(column, LAYOUTS[genotype.layout].inputs),
            "cn-big" + " cn-in-end" * solid,
            "middle",
        ),
        text(x + width / 2, y + 14, caption, "cn-in-end cn-digit" if solid else "cn-small", "middle"),
        class_="cn-faint" if faint else "cn-node",
    )


def _edge(route: Route, wiring: Wiring, ends: str, *, faint: bool) -> ET.Element:
    """Draw the line of an edge with its arrow head."""
    y, tip = wiring.row_y, 8.0
    if route.side == 0:
        path = f"M{route.start:.1f} {y:.1f}H{route.end - tip:.1f}"
        head = f"M{route.end - 1:.1f} {y:.1f}l-9 -5v10z"
    else:
        side, lane = route.side, wiring.lane_y(route.side, route.lane)
        edge_of_node = y + side * NODE_HEIGHT / 2
        path = (
            f"M{route.start:.1f} {edge_of_node:.1f}V{lane - side * CORNER_PX:.1f}"
            f"Q{route.start:.1f} {lane:.1f} {route.start + CORNER_PX:.1f} {lane:.1f}H{route.end - CORNER_PX:.1f}"
            f"Q{route.end:.1f} {lane:.1f} {route.end:.1f} {lane - side * CORNER_PX:.1f}V{edge_of_node + side * tip:.1f}"
        )
        head = f"M{route.end:.1f} {edge_of_node + side:.1f}l-5 {9 * side}h10z"
    return element(
        "g",
        element("title", f"{ends}: {route.edge.operation}"),
        element("path", d=path, class_="cn-edge"),
        element("path", d=head, class_="cn-tip"),
        class_=f"cn-{route.edge.operation}" + " cn-faint" * faint,
    )


def _pill(route: Route, wiring: Wiring) -> ET.Element:
    """Draw the label of an edge, on its line."""
    name = operation_label(route.edge.operation)
    width, height = len(name) * CHARACTER_PX + 16, LANE_PX - 8
    y = wiring.row_y if route.side == 0 else wiring.lane_y(route.side, route.lane)
    return element(
        "g",
        element(
            "rect",
            x=route.label - width / 2,
            y=y - height / 2,
            width=width,
            height=height,
            rx=height / 2,
            class_="cn-pill",
        ),
        text(route.label, y + 4, name, "", "middle"),
        class_=f"cn-{route.edge.operation}",
    )


def _concatenation(wiring: Wiring, y: float) -> list[ET.Element]:
    """Draw the bus below the cell that collects all computed nodes, and the output at its end."""
    right = wiring.left[-1] + wiring.width[-1] + 56
    taps = [line(x, wiring.row_y + NODE_HEIGHT / 2, x, y, "cn-wire") for x in wiring.taps]
    return [
        *taps,
        element(
            "path",
            d=f"M{wiring.taps[0]:.1f} {y:.1f}H{right:.1f}V{wiring.row_y + NODE_HEIGHT / 2 + 8:.1f}",
            class_="cn-wire",
        ),
        element("path", d=f"M{right:.1f} {wiring.row_y + NODE_HEIGHT / 2 + 1:.1f}l-5 9h10z", class_="cn-wire-end"),
        element(
            "rect", x=right - 32, y=wiring.row_y - NODE_HEIGHT / 2, width=64, height=NODE_HEIGHT, rx=10, class_="cn-end"
        ),
        text(right, wiring.row_y - 1, "concat", "cn-big cn-in-end", "middle"),
        text(right, wiring.row_y + 14, "output", "cn-in-end cn-digit", "middle"),
    ]
