"""Lay out the drawing of a cell, so that no edge crosses a label and no two edges share a line.

Nodes are in a row. An edge between neighbours is straight. Every other edge leaves its source upwards or downwards,
runs along its own lane, and enters its target. Labels are on lanes between two columns of nodes, and lines cross lanes
only at the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LANE_PX = 30.0
FIRST_LANE_PX = 22.0
PORT_PX = 12.0
NODE_PX, NODE_HEIGHT = 58.0, 46.0
GAP_PX, NARROW_PX = 150.0, 26.0
MARGIN_PX = 14.0


@dataclass(frozen=True)
class Edge:
    """An edge of a cell: `operation` from column `source` to column `target`."""

    operation: str
    source: int
    target: int


@dataclass(frozen=True)
class Route:
    """Route of an edge.

    Attributes:
        edge: Edge of the cell.
        side: Side of the row: -1 above, 1 below, 0 straight.
        lane: Number of the lane; 0 is next to the row.
        start: Position x of the port at the source, in px.
        end: Position x of the port at the target, in px.
        label: Position x of the label's centre, in px.
    """

    edge: Edge
    side: int
    lane: int
    start: float
    end: float
    label: float


@dataclass(frozen=True)
class Wiring:
    """Layout of a cell's drawing, in px.

    Attributes:
        left: Position x of each column's left side.
        width: Width of each column.
        routes: Route of each edge.
        taps: Position x of the line from each computed node to the concatenation; empty without a concatenation.
        lanes: Number of lanes above and below the row.
    """

    left: tuple[float, ...]
    width: tuple[float, ...]
    routes: tuple[Route, ...]
    taps: tuple[float, ...]
    lanes: tuple[int, int]

    @property
    def row_y(self) -> float:
        """Position y of the row's middle."""
        return MARGIN_PX + NODE_HEIGHT / 2 + self.reach(-1)

    def reach(self, side: int) -> float:
        """Height of the lanes of a side, from the edge of the nodes."""
        lanes = self.lanes[side > 0]
        return (FIRST_LANE_PX + (lanes - 1) * LANE_PX + LANE_PX / 2) if lanes else 0.0

    def lane_y(self, side: int, lane: int) -> float:
        """Position y of a lane."""
        return self.row_y + side * (NODE_HEIGHT / 2 + FIRST_LANE_PX + lane * LANE_PX)


def wire(edges: Sequence[Edge], columns: int, inputs: int, *, tapped: bool = False) -> Wiring:
    """Place `columns` nodes and their edges; the first `inputs` nodes are inputs.

    `tapped` keeps a port free below each computed node, between its incoming and outgoing edges.
    """
    lanes = _lanes(edges)
    ports = {
        (column, side): _ports(lanes, column, side, tapped and side > 0 and column >= inputs)
        for column in range(columns)
        for side in (-1, 1)
    }
    width = tuple(
        max(NODE_PX, PORT_PX * (1 + max(len(ports[column, side]) for side in (-1, 1)))) for column in range(columns)
    )
    left = [MARGIN_PX]
    for column in range(columns - 1):
        left.append(left[-1] + width[column] + (NARROW_PX if column < inputs - 1 else GAP_PX))

    def port(edge: Edge | None, column: int, side: int) -> float:
        order = ports[column, side]
        return left[column] + width[column] / 2 + (order.index(edge) - (len(order) - 1) / 2) * PORT_PX

    def label(edge: Edge) -> float:
        """Find the middle of the wide gap nearest to the middle of the edge."""
        gaps = [left[column] - GAP_PX / 2 for column in range(max(edge.source + 1, inputs), edge.target + 1)]
        middle = (left[edge.source] + width[edge.source] + left[edge.target]) / 2
        return min(gaps, key=lambda x: abs(x - middle))

    routes = []
    for edge, (side, lane) in lanes.items():
        start = left[edge.source] + width[edge.source] if side == 0 else port(edge, edge.source, side)
        end = left[edge.target] if side == 0 else port(edge, edge.target, side)
        routes.append(Route(edge, side, lane, start, end, label(edge)))
    above, below = (max((lane + 1 for side, lane in lanes.values() if side == which), default=0) for which in (-1, 1))
    taps = tuple(port(None, column, 1) for column in range(inputs, columns)) if tapped else ()
    return Wiring(tuple(left), width, tuple(routes), taps, (above, below))


def _lanes(edges: Sequence[Edge]) -> dict[Edge, tuple[int, int]]:
    """Find side and lane of each edge: short edges first, each in the lowest lane that is free over its whole span."""
    taken: dict[tuple[int, int], list[Edge]] = {}
    found: dict[Edge, tuple[int, int]] = {}
    for edge in sorted(edges, key=lambda e: (e.target - e.source, e.source)):
        if edge.target - edge.source == 1:
            found[edge] = (0, 0)
            continue
        lane, side = next(
            (lane, side)
            for lane in range(len(edges))
            for side in (-1, 1)
            if all(edge.target <= other.source or other.target <= edge.source for other in taken.get((side, lane), []))
        )
        taken.setdefault((side, lane), []).append(edge)
        found[edge] = (side, lane)
    return found


def _ports(lanes: dict[Edge, tuple[int, int]], column: int, side: int, tap: bool) -> list[Edge | None]:
    """List the edges at one side of a column from left to right, None for the tap.

    Incoming edges come first by rising lane, then outgoing ones by falling lane, so that the fewest lines cross.
    """
    incoming = [edge for edge, (where, _) in lanes.items() if where == side and edge.target == column]
    outgoing = [edge for edge, (where, _) in lanes.items() if where == side and edge.source == column]
    middle: list[Edge | None] = [None] if tap else []
    return [
        *sorted(incoming, key=lambda edge: lanes[edge][1]),
        *middle,
        *sorted(outgoing, key=lambda edge: -lanes[edge][1]),
    ]
