"""The table of `benchmarks/cures.py`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

COLUMNS = (
    "cure",
    "n",
    "entropy",
    "learnt",
    "with one",
    "OA %",
    "minus random",
    "95 %",
    "place",
    "above median",
    "p",
    "s",
    "random search",
    "wins",
)
"""`learnt` and `with one` are of the cell derived without a budget, all others of the one within it.

`s` is the processor time of a search, with that of its supernet where another rule derives from the same one. `random
search` is the mean place of the best of as many random cells as can be trained in this time. It is an upper bound,
because it takes the best one to be known.
"""


def place(oa: float, drawn: Sequence[float]) -> float:
    """Share of the random cells that are below; equals count half."""
    return statistics.mean((one < oa) + 0.5 * (one == oa) for one in drawn)


def table(lines: Sequence[dict[str, Any]], cures: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each cure."""
    random_cells = [line for line in lines if line["kind"] == "random"]
    drawn = [line["oa"] for line in random_cells]
    rows = []
    for cure in cures:
        runs = [line for line in lines if line["cure"] == cure]
        if not runs or len(drawn) < 2:
            continue
        oas, places = [run["oa"] for run in runs], [place(run["oa"], drawn) for run in runs]
        above, seeds = sum(one > 0.5 for one in places), len(runs)
        with_learnt = sum(run["free_learnt"] > 0 for run in runs)
        low, high = interval(oas, drawn)
        seconds = statistics.mean(_seconds(run, lines) for run in runs)
        trained = seconds / statistics.mean(line["train_s"] for line in random_cells)
        rows.append(
            {"cure": cure, "n": seeds, "entropy": statistics.mean(run["entropy"] for run in runs)}
            | {"free_learnt": statistics.mean(run["free_learnt"] for run in runs), "with_learnt": with_learnt}
            | {"oa": statistics.mean(oas), "gain": statistics.mean(oas) - statistics.mean(drawn)}
            | {"low": low, "high": high, "place": statistics.mean(places), "above": above}
            | {"p": binomtest(above, seeds, alternative="greater").pvalue}
            | {"seconds": seconds, "even": trained / (trained + 1)}
            | {"wins": seeds >= 10 and above >= 0.8 * seeds and with_learnt >= 0.9 * seeds}
        )
    return rows


def _seconds(run: dict[str, Any], lines: Sequence[dict[str, Any]]) -> float:
    """Processor time of a search, with that of the supernet that a perturbation took from another line."""
    if "search_s" in run:
        return float(run["search_s"])
    supernet = run["cure"].removesuffix(", perturbation"), run["seed"]
    shared = next(line["search_s"] for line in lines if (line["cure"], line["seed"]) == supernet)
    return float(shared + run["perturbation_s"])


def interval(found: Sequence[float], drawn: Sequence[float], samples: int = 10_000) -> tuple[float, float]:
    """Middle 95 % of the difference of the means over bootstrap samples of seeds and of random cells."""
    rng = np.random.default_rng(0)
    means = [rng.choice(np.asarray(values), (samples, len(values))).mean(1) for values in (found, drawn)]
    low, high = np.quantile(means[0] - means[1], (0.025, 0.975))
    return float(low), float(high)


def show(lines: Sequence[dict[str, Any]], cures: Sequence[str]) -> None:
    """Print the table in Markdown."""
    drawn = [line["oa"] for line in lines if line["kind"] == "random"]
    if len(drawn) > 1:
        spread = f"{100 * statistics.mean(drawn):.2f} ± {100 * statistics.stdev(drawn):.2f}"
        print(f"{len(drawn)} random cells: OA % {spread} ({100 * min(drawn):.2f} to {100 * max(drawn):.2f})\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    for row in table(lines, cures):
        n = row["n"]
        cells = [
            row["cure"],
            str(n),
            f"{row['entropy']:.2f}",
            f"{row['free_learnt']:.1f}",
            f"{row['with_learnt']}/{n}",
            f"{100 * row['oa']:.2f}",
            f"{100 * row['gain']:+.2f}",
            f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}",
            f"{100 * row['place']:.0f} %",
            f"{row['above']}/{n}",
            f"{row['p']:.3f}",
            f"{row['seconds']:.0f}",
            f"{100 * row['even']:.0f} %",
            "yes" if row["wins"] else "no" if n >= 10 else "-",
        ]
        print(f"| {' | '.join(cells)} |")
