"""Draw curves over epochs: axes, ticks, and labels that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from compactnas.reporting.figures.svg import drawing, element, line, text, text_px

WIDTH, HEIGHT = 400.0, 232.0
LEFT, TOP, BOTTOM = 48.0, 34.0, 30.0
LABEL_PX = 15.0

MOST, LEAST = 1e100, 1e-100
"""Largest value of an axis, and smallest range: beyond them, the distance between ticks may overflow or be zero."""


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        name: Label of the curve.
        xs: Epochs.
        ys: Values; those that are not finite or beyond `MOST` are left out.
        colour: Number of the colour, 0 to 5.
        dashed: Whether the curve is dashed.
        stepped: Whether a value holds until the next one.
        faint: Whether the curve is thin and has no label.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int
    dashed: bool = False
    stepped: bool = False
    faint: bool = False

    @property
    def points(self) -> list[tuple[float, float]]:
        """Points of the series that can be drawn."""
        return [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if drawable(x) and drawable(y)]


@dataclass(frozen=True)
class Axes:
    """Data ranges and their place in the figure: from `LEFT` to `right`, from `TOP` to `bottom`."""

    x: tuple[float, float]
    y: tuple[float, float]
    right: float
    bottom: float = HEIGHT - BOTTOM

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Compute the position of a data point in px."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (self.right - LEFT), self.bottom - up * (self.bottom - TOP)


def curves(title: str, unit: str, series: Sequence[Series], x_name: str = "epoch") -> ET.Element | None:
    """Draw a line chart with a label at the end of each curve; None if there is nothing to draw."""
    drawn = [one for one in series if one.points]
    if not drawn:
        return None
    points = [point for one in drawn for point in one.points]
    x_ticks = nice_ticks([x for x, _ in points], 6, whole=True)
    y_ticks = nice_ticks([y for _, y in points], 5)
    named = [one for one in drawn if not one.faint]
    labels = [(one.name, number(one.points[-1][1])) for one in named]
    longest = max((text_px(f"{name} ") + text_px(value, strong=True) for name, value in labels), default=40.0)
    right = WIDTH - 18 - longest * 11 / 12  # labels are 11 px, and `text_px` measures 12 px
    axes = Axes(_range(x_ticks, points, 0), (y_ticks[0], y_ticks[-1]), right)
    parts = [heading(title, unit), *frame(axes, x_ticks, y_ticks, x_name, _alike(x_ticks))]
    parts += [_curve(one, axes) for one in sorted(drawn, key=lambda one: not one.faint)]
    ends = [axes.at(*one.points[-1]) for one in named]
    for one, (name, value), (x, y), y_label in zip(named, labels, ends, _apart([y for _, y in ends]), strict=True):
        parts.append(element("circle", cx=x, cy=y, r=3.5, class_=f"cn-dot cn-c{one.colour}"))
        parts.append(leader(x, y, right + 10, y_label, one.colour))
        label = text(right + 14, y_label + 4, f"{name} ", "cn-digit")
        label.append(element("tspan", value, class_="cn-strong"))
        parts.append(label)
    summary = ", ".join(f"{name} {value} at the end" for name, value in labels)
    return drawing(WIDTH, HEIGHT, f"{title} ({unit}) by {x_name}: {summary}", *parts, least=300)


def drawable(value: float) -> bool:
    """Check whether an axis can hold the value."""
    return math.isfinite(value) and abs(value) <= MOST


def number(value: float) -> str:
    """Write a value with about three significant digits, for axes and labels."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:.{min(digits, 6)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _alike(ticks: Sequence[float]) -> list[str]:
    """Write the labels of an axis, all with the decimals of the one that needs most."""
    digits = next((d for d in range(7) if all(math.isclose(round(t, d), t, abs_tol=1e-9) for t in ticks)), 7)
    return [f"{tick:.{digits}f}" for tick in ticks]


STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Round distances between ticks, in powers of ten."""


def nice_ticks(values: Sequence[float], count: int, *, whole: bool = False) -> list[float]:
    """Find at least two round values that span the data, with at most about `count` steps."""
    low, high = min(values), max(values)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), LEAST):
        margin = 0.5 if whole else abs(low) * 0.1 if abs(low) > LEAST else 1.0
        low, high = low - margin, high + margin
    power = 10.0 ** (math.floor(math.log10((high - low) / count)))
    sizes = [size * scale for scale in (power, 10 * power) for size in STEPS]
    sizes = [size for size in sizes if not whole or size.is_integer()] or [1.0]
    step = next((size for size in sizes if _steps(low, high, size) <= count), sizes[-1])
    first = math.floor(low / step + 1e-9)
    return [step * (first + i) for i in range(_steps(low, high, step) + 1)]


def _steps(low: float, high: float, step: float) -> int:
    """Count the steps between the ticks that span the data."""
    return max(1, math.ceil(high / step - 1e-9) - math.floor(low / step + 1e-9))


def _range(ticks: Sequence[float], points: Sequence[tuple[float, float]], axis: int) -> tuple[float, float]:
    """Find the range of the data, because epochs need no margin; that of the ticks if all points have one value."""
    values = [point[axis] for point in points]
    return (min(values), max(values)) if min(values) < max(values) else (ticks[0], ticks[-1])


def heading(title: str, unit: str) -> ET.Element:
    """Draw the title of a figure with its unit."""
    made = text(0, 15, title, "cn-strong")
    made.append(element("tspan", unit, class_="cn-small cn-plain", dx=8))
    return made


def frame(
    axes: Axes, x_ticks: Sequence[float], y_ticks: Sequence[float], x_name: str, x_labels: Sequence[str]
) -> list[ET.Element]:
    """Draw grid lines, the x axis, and the labels of both axes; x labels that would touch are left out."""
    parts: list[ET.Element] = []
    for tick, name in zip(y_ticks, _alike(y_ticks), strict=True):
        y = axes.at(axes.x[0], tick)[1]
        parts += [line(LEFT, y, axes.right, y, "cn-rule"), text(LEFT - 7, y + 4, name, "cn-small", "end")]
    last = -math.inf
    for tick, name in zip(x_ticks, x_labels, strict=True):
        x = axes.at(tick, axes.y[0])[0]
        if axes.x[0] <= tick <= axes.x[1] and x - last > 26:
            parts.append(text(x, axes.bottom + 16, name, "cn-small", "middle"))
            last = x
    parts.append(line(LEFT, axes.bottom, axes.right, axes.bottom, "cn-axis"))
    parts.append(text(axes.right + 14, axes.bottom + 16, x_name, "cn-small"))
    return parts


def _curve(series: Series, axes: Axes) -> ET.Element:
    places = [axes.at(x, y) for x, y in series.points]
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}"
    for x, y in places[1:]:
        path += f"H{x:.1f}V{y:.1f}" if series.stepped else f"L{x:.1f} {y:.1f}"
    return element(
        "g",
        element("title", series.name),
        element("path", d=path, class_=f"cn-curve cn-c{series.colour}"),
        class_=("cn-dashed" if series.dashed else "cn-solid") + " cn-thin" * series.faint,
    )


def leader(x: float, y: float, x_end: float, y_end: float, colour: int) -> ET.Element:
    """Draw a thin line from the end of a curve to its label."""
    return element("path", d=f"M{x + 5:.1f} {y:.1f}L{x_end:.1f} {y_end:.1f}", class_=f"cn-leader cn-c{colour}")


def _apart(heights: Sequence[float]) -> list[float]:
    """Move the heights of labels as little as possible, so that none overlap and all stay on the figure.

    After `LABEL_PX` is subtracted for each label above it, no label may be above the one before. The nearest such
    sequence is the isotonic regression, found by pooling neighbours that are out of order.
    """
    order = sorted(range(len(heights)), key=heights.__getitem__)
    pools: list[tuple[float, int]] = []  # mean and size
    for rank, index in enumerate(order):
        mean, size = heights[index] - rank * LABEL_PX, 1
        while pools and pools[-1][0] > mean:
            before, count = pools.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        pools.append((mean, size))
    tops = [mean for mean, size in pools for _ in range(size)] or [0.0]
    overflow = max(0.0, tops[-1] + (len(order) - 1) * LABEL_PX - (HEIGHT - BOTTOM - 4))
    found = [0.0] * len(heights)
    for rank, index in enumerate(order):
        found[index] = tops[rank] + rank * LABEL_PX - overflow
    return found
