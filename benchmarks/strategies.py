"""The strategies of a study in one table: accuracy after retraining, MACs, time and memory of the search; and a plot.

    compactnas study examples/strategies.yaml -o strategies
    python benchmarks/strategies.py examples/strategies.yaml --root strategies --json table.json --plot table.png
    python benchmarks/strategies.py --rows results/strategies.json --plot docs/figures/strategies.png

Accuracy and MACs are those of the study's jobs: mean (least to greatest). The seconds of a search and its peak memory
are those of the study's plan: steps of each strategy are timed now, in a process of its own, on random patches of the
same shape, and counted, with the passes over candidates at the end of `uniform` and `evolution`. The clocks of jobs
that ran beside others cannot be compared, these can. A random search takes as long as all the searches of the method
that it is named after, by counted work. `--no-plan` leaves them out. `--rows` draws the rows of an
earlier `--json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compactnas.mapping.picture import DPI
from compactnas.reporting.study.view import StudyView
from compactnas.studies import StudyConfig, read_study
from compactnas.studies.config import RANDOM, RANDOM_SEARCH
from compactnas.studies.planning import plan
from compactnas.studies.reading import study_view

COLOUR, PLAIN = "#1D4ED8", "0.3"
"""Colours of the strategies and of random search."""
LEFT = {"GDAS", "uniform", "evolution"}
"""Strategies whose name stands at the left of their point, because another point is at the right."""


def rows_of(view: StudyView, split: str) -> dict[str, dict[str, Any]]:
    """What the jobs say of each method."""
    rows: dict[str, dict[str, Any]] = {}
    for method in view.shown(split):
        runs = view.runs(method.key, split)
        rows[method.name] = {
            "oa": [100 * run.evaluation.measures.oa for run in runs],
            "aa": [100 * run.evaluation.measures.aa for run in runs],
            "macs": [run.evaluation.macs for run in runs],
            "parameters": [run.evaluation.parameters for run in runs],
        }
    return rows


def searches_of(study: StudyConfig, view: StudyView, root: Path, split: str) -> dict[str, dict[str, float]]:
    """What one search of each method takes on this machine, by its name in the table."""
    shown = {method.key: method.name for method in view.shown(split)}
    found: dict[str, dict[str, float]] = {}
    for planned in plan(study, root).jobs:
        if planned.job.kind != "train" and planned.job.method in shown:
            figures = {"steps": planned.steps, "search_s": planned.seconds, "peak_gib": planned.memory_gib}
            found.setdefault(shown[planned.job.method], figures)
    return found


def rows_of_study(study: StudyConfig, root: Path, split: str, *, timed: bool) -> dict[str, dict[str, Any]]:
    """All of a study: what its jobs say and, if `timed`, what a search takes on this machine."""
    view = study_view(study, root)
    rows = rows_of(view, split)
    for name, figures in searches_of(study, view, root, split).items() if timed else ():
        rows[name] |= figures
    return rows


def spread(values: Sequence[float], digits: int = 2, factor: float = 1.0) -> str:
    """Mean (least to greatest)."""
    if not values:
        return "-"
    low, middle, high = (factor * f(values) for f in (min, statistics.mean, max))
    text = f"{middle:.{digits}f}"
    return text if len(set(values)) == 1 else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    """Markdown."""
    print("| | OA % | AA % | M MACs | M parameters | a search, s | peak, GiB |\n|---" + "|---" * 6 + "|")
    for name, row in rows.items():
        cells = [
            f"{spread(row['oa'])}, n = {len(row['oa'])}",
            spread(row["aa"]),
            spread(row["macs"], 2, 1e-6),
            spread(row["parameters"], 4, 1e-6),
            f"{row['search_s']:.0f}" if "search_s" in row else "-",
            f"{row['peak_gib']:.2f}" if "peak_gib" in row else "-",
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def beside(
    axes: Any, name: str, point: tuple[float, float], colour: str, offset: tuple[float, float], side: str
) -> None:
    """Write a name beside a point, so many points away, with a margin against lines behind it."""
    from matplotlib.patheffects import withStroke

    margin = [withStroke(linewidth=3, foreground="white")]
    place = {"xytext": offset, "textcoords": "offset points", "ha": side, "path_effects": margin}
    axes.annotate(name, point, fontsize=8, color=colour, **place)


def plot(rows: dict[str, dict[str, Any]], file: Path) -> None:
    """Accuracy after retraining against the seconds of a search; the random searches as one line."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure = Figure(figsize=(7.2, 4.2), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    edge, controls = axes.get_yaxis_transform(), []
    for name, row in rows.items():
        middle, seconds = statistics.mean(row["oa"]), row.get("search_s")
        if seconds is None:
            axes.axhline(middle, color="0.6", ls="--" if name == RANDOM else ":", lw=1)
            text = "random cells" if name == RANDOM else name
            axes.text(0.99, middle, text, fontsize=8, ha="right", va="bottom", color=PLAIN, transform=edge)
            continue
        control = name.startswith(RANDOM_SEARCH)
        color = PLAIN if control else COLOUR
        axes.vlines(seconds, min(row["oa"]), max(row["oa"]), color=color, lw=2)
        axes.plot(seconds, middle, "s" if control else "o", color=color)
        if control:
            controls.append((seconds, middle))
        else:
            left = name in LEFT
            beside(axes, name, (seconds, middle), COLOUR, (-7 if left else 7, -3), "right" if left else "left")
    if controls:
        axes.plot(*zip(*sorted(controls), strict=True), color=PLAIN, lw=0.8)
        beside(axes, "random search", max(controls), PLAIN, (0, 7), "center")
    axes.set(
        xscale="log",
        xlim=(15, 1000),
        xlabel="seconds of one search; random search: of all that it trains",
        ylabel="accuracy in unseen places, %",
    )
    runs = {len(row["oa"]) for row in rows.values()}
    axes.set_title(f"mean, worst and best of {max(runs)} searches, each retrained", fontsize=9, loc="left")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=DPI)


def main() -> None:
    """Print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?")
    parser.add_argument("--root", type=Path, help="folder of the study")
    parser.add_argument("--rows", type=Path, help="file of an earlier --json, instead of a study and its folder")
    parser.add_argument("--split", default="d1")
    parser.add_argument("--no-plan", action="store_true", help="do not time steps")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.rows:
        rows = json.loads(options.rows.read_text())
    elif options.study and options.root:
        rows = rows_of_study(read_study(options.study), options.root, options.split, timed=not options.no_plan)
    else:
        parser.error("name a study and its folder with --root, or --rows")
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
