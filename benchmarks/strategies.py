"""The strategies of a study in one table: accuracy after retraining, MACs, time and memory of the search; and a plot.

    compactnas study examples/strategies.yaml -o strategies
    python benchmarks/strategies.py examples/strategies.yaml --root strategies --json table.json --plot table.png

Accuracy and MACs are those of the study's jobs: mean (least to greatest). The seconds of a search and its peak memory
are those of the study's plan: steps of each strategy are timed now, in a process of its own, on random patches of the
same shape, and counted, with the passes over candidates at the end of `uniform` and `evolution`. The clocks of jobs
that ran beside others cannot be compared, these can. A random search takes as long as all the searches of the method
that it is named after, by counted work. `--no-plan` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from compactnas.reporting.study.view import StudyView
from compactnas.studies import StudyConfig, read_study
from compactnas.studies.config import RANDOM
from compactnas.studies.planning import plan
from compactnas.studies.reading import study_view


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


def plot(rows: dict[str, dict[str, Any]], controls: Collection[str], file: Path) -> None:
    """Accuracy after retraining against the seconds of a search; the random searches, `controls`, as one line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    found = []
    for place, (name, row) in enumerate(rows.items()):
        middle, seconds = statistics.mean(row["oa"]), row.get("search_s")
        if seconds is None:
            axes.axhline(middle, color="0.6", ls="--" if name == RANDOM else ":", lw=1, label=name)
            continue
        color = "0.3" if name in controls else f"C{place}"
        axes.vlines(seconds, min(row["oa"]), max(row["oa"]), color=color, lw=2)
        if name in controls:
            found.append((seconds, middle))
        else:
            axes.plot(seconds, middle, "o", color=color, label=name)
    if found:
        line = zip(*sorted(found), strict=True)
        axes.plot(*line, "s-", color="0.3", lw=0.8, label="random search of more and more cells")
    axes.set(
        xscale="log",
        xlabel="seconds of one search; of random search, as long as both (log)",
        ylabel="OA % after retraining, least to greatest",
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--root", type=Path, required=True, help="folder of the study")
    parser.add_argument("--split", default="d1")
    parser.add_argument("--no-plan", action="store_true", help="do not time steps")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    study = read_study(options.study)
    view = study_view(study, options.root)
    rows = rows_of(view, options.split)
    if not options.no_plan:
        for name, figures in searches_of(study, view, options.root, options.split).items():
            rows[name] |= figures
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.plot:
        plot(rows, study.random_searches, options.plot)


if __name__ == "__main__":
    main()
