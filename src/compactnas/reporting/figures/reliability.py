"""Draw how often predictions of a given confidence are right."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

from compactnas.evaluation.calibration import Reliability
from compactnas.reporting.figures.charts import Axes, frame, heading
from compactnas.reporting.figures.svg import drawing, element, line, text

WIDTH, HEIGHT, BOTTOM, RIGHT = 430.0, 330.0, 30.0, 92.0
SMALLEST_PX, LARGEST_PX = 2.5, 9.0
TICKS = (0.0, 25.0, 50.0, 75.0, 100.0)


def reliability_figure(found: Reliability) -> ET.Element | None:
    """Draw the accuracy over the confidence of each bin, in per cent; None without patches.

    The area of a dot grows with its patches. On the dashed line, the confidence is as high as the accuracy.
    """
    total = sum(found.patches)
    if not total:
        return None
    axes = Axes((0.0, 100.0), (0.0, 100.0), WIDTH - RIGHT, HEIGHT - BOTTOM)
    parts = [heading("Reliability", "accuracy in %, by confidence in %")]
    parts += frame(axes, TICKS, TICKS, "confidence", [f"{tick:.0f}" for tick in TICKS])
    (x0, y0), (x1, y1) = axes.at(0.0, 0.0), axes.at(100.0, 100.0)
    parts.append(line(x0, y0, x1, y1, "cn-diagonal"))
    filled = [
        (100 * confidence, 100 * accuracy, n)
        for n, confidence, accuracy in zip(found.patches, found.confidence, found.accuracy, strict=True)
        if n
    ]
    places = [axes.at(confidence, accuracy) for confidence, accuracy, _ in filled]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    parts.append(element("path", d=path, class_="cn-curve cn-c0"))
    largest = max(n for *_, n in filled)
    for (confidence, accuracy, n), (x, y) in zip(filled, places, strict=True):
        radius = max(SMALLEST_PX, LARGEST_PX * math.sqrt(n / largest))
        tip = f"confidence {confidence:.1f} %, accuracy {accuracy:.1f} %: {n:,} patches"
        parts.append(element("circle", element("title", tip), cx=x, cy=y, r=radius, class_="cn-dot cn-c0"))
    aside = axes.right + 14
    parts += [text(aside, y1 + 12, "ECE", "cn-small"), text(aside, y1 + 31, f"{100 * found.ece:.1f} %", "cn-big")]
    label = f"Reliability: expected calibration error {100 * found.ece:.2f} % on {total} patches"
    return drawing(WIDTH, HEIGHT, label, *parts, least=300, grow=1.3)
