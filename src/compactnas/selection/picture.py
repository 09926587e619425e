"""Plot a front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compactnas.io.jsonl import Row
from compactnas.selection.pareto_front import ACCURACIES, decides


def draw_front(rows: Sequence[Row], file: Path) -> Path:
    """Plot accuracy against MACs as PNG: all networks, and a line through those on the front."""
    from matplotlib.figure import Figure  # not pyplot, which would change the backend of a notebook

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for place, (name, title) in enumerate(ACCURACIES.items()):
        if name not in rows[0]:
            continue
        axes.plot(
            [row["macs"] / 1e6 for row in rows],
            [100 * row[name] for row in rows],
            "o",
            color=f"C{place}",
            label=title,
            alpha=0.9 if place == 0 or "test_oa" not in rows[0] else 0.4,
        )
    by = decides(list(rows[0]))
    front = sorted((row["macs"] / 1e6, 100 * row[by]) for row in rows if row["front"])
    axes.plot([x for x, _ in front], [y for _, y in front], "-", color="0.5", lw=1, zorder=0, label="the front")
    axes.set(xlabel="M MACs", ylabel="OA %")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    return file
