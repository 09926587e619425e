"""What a GPU gives: a step of the search by layout, strategy, batch and precision, trainings, data on it, two of them.

    benchmarks/gpu.sh --json gpu.json

The search: our step, the published order of operations and the floor (`step_contest.py`) on the same draws, medians;
other strategies alone; the floor as one CUDA graph. Trainings: as they are and replayed as a CUDA graph, with the
data in the memory of the machine and of the GPU. A search by two processes where there are two GPUs.

Keeps to `--minutes` (8): the most important is measured first, and what was left out is named. Without a GPU it runs
on the CPU with small sizes for less than a minute, which shows that the script works, and nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from gpu_cases import Figures, LeftOut, Sizes, cases, on_this_machine

from compactnas.errors import UserError

MARGIN = 1.2
"""A case begins if the longest of its section so far, times this, still fits into the time."""

Clock = Callable[[], float]


@dataclass
class Found:
    """What was measured.

    Attributes:
        figures: Figures by section and name.
        left_out: What was not measured, with the reason.
        failed: What failed, with the error.
    """

    figures: dict[str, dict[str, Figures]] = field(default_factory=lambda: defaultdict(dict))
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def values(self) -> dict[str, object]:
        """Everything, for a JSON file."""
        return {
            "machine": machine(),
            "figures": {
                f"{section}: {name}": found for section, rows in self.figures.items() for name, found in rows.items()
            },
            "left_out": self.left_out,
            "failed": self.failed,
        }


def measure(sizes: Sizes, seconds: float, clock: Clock = time.perf_counter) -> Found:
    """Measure the cases that fit into the time, in their order."""
    found, longest, end = Found(), defaultdict[str, float](float), clock() + seconds
    for case in cases(sizes):
        if isinstance(case, LeftOut):
            found.left_out[case.name] = f"needs {case.reason}"
            continue
        name, began = f"{case.section}: {case.name}", clock()
        if began + MARGIN * longest[case.section] >= end:
            found.left_out[name] = "no time was left"
            continue
        try:
            found.figures[case.section][case.name] = figures = case.measure()
            shown = ", ".join(f"{figure} {value:.2f}" for figure, value in figures.items())
        except (RuntimeError, UserError, subprocess.SubprocessError) as error:
            found.failed[name] = shown = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        longest[case.section] = max(longest[case.section], clock() - began)
        print(f"{clock() - end + seconds:6.1f} s  {name}: {shown}", file=sys.stderr, flush=True)
        free_memory()
    return found


def free_memory() -> None:
    """Give the memory of a case back before the next one."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if gpu else f"{platform.processor() or platform.machine()}, no GPU",
        "devices": torch.cuda.device_count() if gpu else 0,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if gpu else None,
        "tf32_convolutions": torch.backends.cudnn.allow_tf32 if gpu else False,
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"),
    }


def report(found: Found) -> str:
    """The figures as tables in Markdown, and what is not in them."""
    lines = [", ".join(f"{name} {value}" for name, value in machine().items())]
    for section, rows in found.figures.items():
        columns = list(dict.fromkeys(figure for row in rows.values() for figure in row))
        lines += ["", f"| {section} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
        for name, row in rows.items():
            cells = (f"{row[figure]:.2f}" if figure in row else "" for figure in columns)
            lines.append(f"| {name} | {' | '.join(cells)} |")
    for title, rows in (("Left out", found.left_out), ("Failed", found.failed)):
        if rows:
            lines += ["", f"{title}:", ""] + [f"- {name}: {reason}" for name, reason in rows.items()]
    return "\n".join(lines)


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    minutes = 8.0 if torch.cuda.is_available() else 0.75
    parser.add_argument("--minutes", type=float, default=minutes, help=f"time for all measurements; here {minutes:g}")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    options = parser.parse_args()
    found = measure(on_this_machine(), 60 * options.minutes)
    print(report(found))
    if options.json:
        options.json.write_text(json.dumps(found.values(), indent=1) + "\n", encoding="utf-8")
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
