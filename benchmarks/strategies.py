"""The strategies of a study in one table: accuracy after retraining, MACs, time and memory of the search; and a plot.

    compactnas study examples/strategies.yaml --out strategies
    python benchmarks/strategies.py examples/strategies.yaml --root strategies --json table.json --plot table.png

Accuracy, MACs and seconds are those of the study's jobs: mean (least to greatest). A step's seconds and the peak memory
are measured now, each strategy in a process of its own, on random patches of the same shape: seconds of jobs that ran
beside others are not comparable, those of these steps are. `--no-steps` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compactnas.report.study.view import StudyView
from compactnas.study import StudyConfig, expand, read_study
from compactnas.study.estimating import Shape, Step, measure_steps
from compactnas.study.reading import study_view


def rows_of(view: StudyView, split: str) -> dict[str, dict[str, Any]]:
    """What the jobs say of each method."""
    rows: dict[str, dict[str, Any]] = {}
    for method in view.shown(split):
        runs, searches = view.runs(method.key, split), view.searches_of(method.key)
        clocks = [one.spent.seconds for one in searches if one.spent is not None and one.spent.seconds]
        if method.key in view.search_clocks:
            clocks = [view.search_clocks[method.key].seconds]
        rows[method.name] = {
            "oa": [100 * run.evaluation.measures.oa for run in runs],
            "aa": [100 * run.evaluation.measures.aa for run in runs],
            "macs": [run.evaluation.macs for run in runs],
            "parameters": [run.evaluation.parameters for run in runs],
            "search_s": clocks,
        }
    return rows


def steps_of(study: StudyConfig, view: StudyView, split: str) -> dict[str, Step]:
    """A step of each strategy's search, each in a process of its own."""
    if view.sizes is None:
        return {}
    shown = {method.key: method.name for method in view.shown(split)}
    jobs = {job.method: job for job in expand(study) if job.kind == "search" and job.method in shown}
    shapes = [Shape(job.config, None, *view.sizes) for job in jobs.values()]
    return {shown[name]: step for name, step in zip(jobs, measure_steps(shapes), strict=True)}


def spread(values: Sequence[float], digits: int = 2, factor: float = 1.0) -> str:
    """Mean (least to greatest)."""
    if not values:
        return "-"
    low, middle, high = (factor * f(values) for f in (min, statistics.mean, max))
    text = f"{middle:.{digits}f}"
    return text if len(set(values)) == 1 else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def print_table(rows: dict[str, dict[str, Any]], steps: dict[str, Step]) -> None:
    """Markdown."""
    print("| | OA % | AA % | M MACs | M parameters | search, s | a step, s | peak, GiB |\n|---" + "|---" * 7 + "|")
    for name, row in rows.items():
        step = steps.get(name)
        cells = [
            f"{spread(row['oa'])}, n = {len(row['oa'])}",
            spread(row["aa"]),
            spread(row["macs"], 2, 1e-6),
            spread(row["parameters"], 4, 1e-6),
            spread(row["search_s"], 0),
            f"{step.seconds:.3f}" if step else "-",
            f"{step.memory_gib:.2f}" if step else "-",
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def plot(rows: dict[str, dict[str, Any]], file: Path) -> None:
    """Accuracy after retraining against the seconds of a search."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    searched = {name: row for name, row in rows.items() if row["search_s"]}
    for place, (name, row) in enumerate(searched.items()):
        x, middle = statistics.mean(row["search_s"]), statistics.mean(row["oa"])
        axes.vlines(x, min(row["oa"]), max(row["oa"]), color=f"C{place}", lw=2)
        axes.plot(x, middle, "o", color=f"C{place}", label=name)
    for name, row in rows.items():
        if not row["search_s"]:
            axes.axhline(
                statistics.mean(row["oa"]), color="0.6", ls="--" if name == "random" else ":", lw=1, label=name
            )
    axes.set(xscale="log", xlabel="seconds of one search (log)", ylabel="OA % after retraining, least to greatest")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--root", type=Path, required=True, help="folder of the study")
    parser.add_argument("--split", default="d1")
    parser.add_argument("--no-steps", action="store_true", help="do not measure steps and memory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    study = read_study(options.study)
    view = study_view(study, options.root)
    rows = rows_of(view, options.split)
    steps = {} if options.no_steps else steps_of(study, view, options.split)
    print_table(rows, steps)
    if options.json:
        measured = {name: {"step_s": s.seconds, "peak_gib": s.memory_gib} for name, s in steps.items()}
        values = {name: row | measured.get(name, {}) for name, row in rows.items()}
        options.json.write_text(json.dumps(values, indent=2) + "\n")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
