"""Draw accuracy in unseen places against MACs: EuroSAT RGB at 32 px, from the kept results.

    python benchmarks/accuracy_cost.py docs/figures/accuracy_cost.png

The networks are those of `results/beyond_light.jsonl`, lines `jobs/...`: each trained from scratch by one recipe, its
test accuracy read once. A point is the mean over the seeds, a bar reaches from the worst seed to the best. The table
of the same figures is printed.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from pathlib import Path

from kept import read_kept

from compactnas.io.atomic import write_bytes
from compactnas.mapping.picture import DPI

KEPT = Path(__file__).parents[1] / "results" / "beyond_light.jsonl"

NETWORKS = {
    "resnet8": ("ResNet-8", "reference"),
    "resnet20": ("ResNet-20", "reference"),
    "resnet32": ("ResNet-32", "reference"),
    "resnet110": ("ResNet-110", "reference"),
    "guess_with_12_channels": ("by hand, 12 channels", "by hand"),
    "guess_with_16_channels": ("by hand, 16 channels", "by hand"),
    "random_search": ("random search", "random search"),
    "8_percent": ("SNAS, 8 %", "SNAS"),
    "4_percent": ("SNAS, 4 %", "SNAS"),
}
"""Start of the names of the lines -> label and kind of the network."""

COLOURS = {"reference": "#666666", "by hand": "#1B7A3D", "random search": "#C2410C", "SNAS": "#1D4ED8"}
MARKERS = {"reference": "s", "by hand": "^", "random search": "o", "SNAS": "D"}
BELOW = {"ResNet-8", "by hand, 12 channels"}
"""Labels that stand below their bar, because another network is beside it."""
ABOVE = {"by hand, 16 channels", "ResNet-20"}
NARROW = {"random search"}
"""Labels in two lines, because the bar of another network is at their right."""
REFERENCE, SHARES = "ResNet-110", (2, 4, 8, 16, 27, 100)
"""Network of 100 % on the upper axis, and the ticks of this axis."""


@dataclass(frozen=True)
class Point:
    """Test accuracy (%) of a network by seed, and its MACs."""

    label: str
    kind: str
    macs: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.mean(self.accuracies)


def points(file: Path) -> list[Point]:
    """Read the networks of the picture."""
    lines = read_kept(file)
    found = []
    for start, (label, kind) in NETWORKS.items():
        jobs = [line for name, line in lines.items() if name.startswith(f"jobs/{start}_seed_")]
        accuracies = tuple(job["test_read"]["test"] for job in jobs)
        found.append(Point(label, kind, jobs[0]["evaluation"]["macs"], accuracies))
    return found


def draw(networks: list[Point]) -> bytes:
    """Draw the picture as PNG."""
    from io import BytesIO

    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for point in networks:
        low, high = point.mean - min(point.accuracies), max(point.accuracies) - point.mean
        axes.errorbar(
            point.macs / 1e6,
            point.mean,
            [[low], [high]],
            fmt=MARKERS[point.kind],
            color=COLOURS[point.kind],
            capsize=3,
            markersize=6,
        )
        below, above = point.label in BELOW, point.label in ABOVE
        text = f"{point.label} ({len(point.accuracies)})"
        axes.annotate(
            text.replace(" ", "\n", 1) if point.label in NARROW else text,
            (point.macs / 1e6, min(point.accuracies) if below else max(point.accuracies) if above else point.mean),
            xytext=(-6, -5) if below else (0, 5) if above else (8, 0),
            textcoords="offset points",
            ha="right" if above else "left",
            va="top" if below else "bottom" if above else "center",
            fontsize=8,
            color=COLOURS[point.kind],
        )
    axes.set(
        xscale="log",
        xlim=(3.9, 700),
        ylim=(88.0, 92.8),
        xlabel="MACs of one patch, millions",
        ylabel="accuracy in unseen places, %",
    )
    axes.set_xticks([5, 10, 20, 50, 100, 200], ["5", "10", "20", "50", "100", "200"])
    axes.minorticks_off()
    whole = next(point.macs for point in networks if point.label == REFERENCE) / 1e8
    share = axes.secondary_xaxis("top", functions=(lambda macs: macs / whole, lambda percent: percent * whole))
    share.set_xticks(SHARES, [f"{percent} %" for percent in SHARES])
    share.minorticks_off()
    share.set_xlabel(f"share of {REFERENCE}'s MACs", fontsize=8)
    share.tick_params(labelsize=8)
    axes.set_title("EuroSAT RGB, 32 px: mean, worst and best of n trainings (n in brackets)", fontsize=9, loc="left")
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--kept", type=Path, default=KEPT, help="file of kept results")
    options = parser.parse_args()
    networks = points(options.kept)
    for point in sorted(networks, key=lambda each: each.macs):
        seeds = ", ".join(f"{accuracy:.2f}" for accuracy in point.accuracies)
        print(f"{point.label:22} {point.macs / 1e6:7.2f} M MACs  {point.mean:.2f} %  ({seeds})")
    write_bytes(options.picture, draw(networks))


if __name__ == "__main__":
    main()
