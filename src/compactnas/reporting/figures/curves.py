"""Draw the curves of a search and of a training."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from compactnas.io.jsonl import Row
from compactnas.reporting.figures.charts import Series, curves


def search_curves(rows: Sequence[Row]) -> list[ET.Element]:
    """Draw the losses, accuracies, entropy, cost, depths and temperature of a search by epoch.

    What does not change is left out: the mean depth of uniform draws, and figures of the last epoch alone.
    """
    learnt = [row for row in rows if "entropy" in row]
    blocks = max((len(row["depths"]) for row in learnt if isinstance(row.get("depths"), list)), default=0)
    depths = [_series(f"block {b + 1}", learnt, "depths", b, index=b) for b in range(min(blocks, 6))]
    charts = (
        ("Loss", "nats", _pair(rows, "loss", 1.0)),
        ("Accuracy", "% of a batch", _pair(rows, "accuracy", 100.0)),
        ("Entropy of alpha", "nats per edge", [_series("mean", rows, "entropy", 2)]),
        (
            "Cost of a patch",
            "M MACs",
            [
                _series("expected", rows, "expected_macs", 0, scale=1e-6),
                _series("derived", rows, "derived_macs", 1, scale=1e-6, stepped=True),
            ],
        ),
        ("Expected depth", "cells", depths),
        ("Temperature", "tau", [_series("tau", rows, "tau", 4)]),
    )
    least = min(2, len(rows))
    drawn = [(title, unit, [one for one in series if len(one.xs) >= least]) for title, unit, series in charts]
    return [figure for title, unit, series in drawn if (figure := curves(title, unit, series)) is not None]


def train_curves(rows: Sequence[Row]) -> list[ET.Element]:
    """Draw the loss, accuracy and learning rate of a training by epoch."""
    accuracy = [
        _series("training", rows, "accuracy", 0, scale=100.0),
        _series("validation", rows, "validation_oa", 1, scale=100.0),
    ]
    charts = (
        ("Loss", "nats", [_series("training", rows, "loss", 0)]),
        ("Accuracy", "%", accuracy),
        ("Learning rate", "last of the epoch", [_series("rate", rows, "learning_rate", 4)]),
    )
    return [figure for title, unit, series in charts if (figure := curves(title, unit, series)) is not None]


def _pair(rows: Sequence[Row], key: str, scale: float) -> list[Series]:
    """Make two series: a figure on the half that trains the weights, and on the half that trains alpha."""
    return [
        _series("weights", rows, f"{key}_weights", 0, scale=scale),
        _series("alpha", rows, f"{key}_alpha", 1, scale=scale, dashed=True),
    ]


def _series(
    name: str,
    rows: Sequence[Row],
    key: str,
    colour: int,
    *,
    scale: float = 1.0,
    index: int | None = None,
    dashed: bool = False,
    stepped: bool = False,
) -> Series:
    """Make a series of the numbers of a key, or of one place in its list, over the epochs that have them."""
    xs, ys = [], []
    for row in rows:
        value = row.get(key)
        if index is not None:
            value = value[index] if isinstance(value, list) and index < len(value) else None
        epoch = row.get("epoch")
        if isinstance(value, int | float) and isinstance(epoch, int):
            xs.append(float(epoch))
            ys.append(float(value) * scale)
    return Series(name, xs, ys, colour, dashed, stepped)
