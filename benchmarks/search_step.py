"""One step of the search (weights, then architecture) beside its floor, a plain GDAS step and ResNet-20.

    python benchmarks/search_step.py --json search_step.json

Patches of 10 x 32 x 32, 17 classes, C = 16, 3 blocks of 3 cells, 4 nodes, 8 operations, all edges; the
paper's network, the NASNet-like one, the lean one, and `mobile` with 3 layers in each block. In turn in one
process, on the same draws, the kinds that `step_contest.py` describes: `ours`, `floor`, `plain`, `resnet20`.

Times are medians over the draws, ratios medians of each draw's ratio. Peak memory is that of a whole
process which takes three such steps and does nothing else. `--times` prints one line a draw.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from step_contest import KINDS, LAYOUTS, Contest

from compactnas.training.runtime import peak_memory_gib


def peak_mb(kind: str, layout: str, batch: int, threads: int) -> float:
    """Most memory of a process that takes three steps, in MB."""
    command = [sys.executable, __file__, "--peak", kind, "--layouts", layout, "--batches", str(batch)]
    found = subprocess.run([*command, "--threads", str(threads)], check=True, capture_output=True, text=True)
    return float(found.stdout)


def contest(layout: str, batch: int, draws: int, threads: int, kinds: tuple[str, ...], lines: bool) -> dict[str, float]:
    """Medians of all kinds, ratios to ours, peaks."""
    field = Contest(layout, batch, kinds)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for draw, seconds in enumerate(field.draws(draws, warm_ups=2)):
        for kind in kinds:
            times[kind].append(seconds[kind])
        if lines:
            print(layout, batch, draw, *(f"{kind} {values[-1]:.3f}" for kind, values in times.items()), flush=True)
    entry = {f"{kind}_s": statistics.median(values) for kind, values in times.items()}
    for kind in kinds[1:]:
        ratios = [other / ours for other, ours in zip(times[kind], times["ours"], strict=True)]
        entry[f"{kind}_over_ours"] = statistics.median(ratios)
    return entry


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """The figures in Markdown."""
    lines = [
        "| layout | batch | ours s | floor s | plain s | ResNet-20 | plain/ours | ours/floor | our MB | plain MB | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for layout, rows in figures.items():
        for batch, e in rows.items():
            seconds = " | ".join(f"{e[f'{kind}_s']:.3f}" for kind in KINDS)
            ratios = f"{e['plain_over_ours']:.2f} | {1 / e['floor_over_ours']:.2f}"
            peaks = f"{e['ours_peak_mb']:.0f} | {e['plain_peak_mb']:.0f} | {e['ours_peak_mb'] / e['plain_peak_mb']:.2f}"
            lines.append(f"| {layout} | {batch} | {seconds} | {ratios} | {peaks} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument("--batches", nargs="+", type=int, default=(64, 256))
    parser.add_argument("--draws", type=int, default=9, help="architectures drawn")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="leave some out while tuning")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--times", action="store_true", help="print each draw")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    parser.add_argument("--peak", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.peak:
        field = Contest(arguments.layouts[0], arguments.batches[0], (arguments.peak,))
        for seed in range(3):
            field.step(arguments.peak, seed)
        print(peak_memory_gib() * 1024)
        return
    figures: dict[str, dict[str, dict[str, float]]] = {}
    kinds = tuple(arguments.kinds)
    for layout in arguments.layouts:
        for batch in arguments.batches:
            entry = contest(layout, batch, arguments.draws, arguments.threads, kinds, arguments.times)
            if kinds == KINDS:
                for kind in ("ours", "plain"):
                    entry[f"{kind}_peak_mb"] = peak_mb(kind, layout, batch, arguments.threads)
            figures.setdefault(layout, {})[str(batch)] = entry
            print(layout, batch, {name: round(value, 3) for name, value in entry.items()}, flush=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.draws} draws")
    if kinds == KINDS:
        print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
