"""What people wait for: commands from start to end, maps, and the step of a search, in one checkout or in several.

    python benchmarks/waiting.py CHECKOUT [CHECKOUT ...] --json waiting.json

Each checkout trains ResNet-8 for an epoch on noise and exports it, which is not timed. Then all commands run in
processes of their own with the checkout's code and the Python of this one; the checkouts take turns, `--rounds` times,
and the median wall time counts. The scene is a made city, mirrored to `--px`. A step is timed by the checkout's own
`benchmarks/search_step.py`. A checkout takes five minutes on two idle cores. Maps in the dense mode are timed in older
checkouts, which have it; the others show `-`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from maps import make_scenes

TESTED, TRAINED, CLASSES, PX = 1200, 300, 17, 32
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
STEPS = {"paper": ("64", "256"), "nasnet": ("64",)}
TORCH = "import torch"
COMMANDS = {
    "cost --model resnet20": "cost --model resnet20",
    f"evaluate of {TESTED} patches": "evaluate RUN",
    "report": "report RUN -o page.html",
    "map, exact": "map EXPORT SCENE -o OUT",
    "map, dense": "map EXPORT SCENE -o OUT --mode dense",
}
"""Command line by row; words in capitals are paths, OUT a new one each time."""
OLDER = {"map, dense": "src/compactnas/mapping/dense.py"}
"""Row that only older checkouts have -> file that they have; the others have no figure there."""


class Checkout:
    """A checkout, with a run and an export by its own code.

    Args:
        root: Folder of the checkout.
        work: Folder for its files.
        scene: Scene to map.
    """

    def __init__(self, root: Path, work: Path, scene: Path) -> None:
        self.root, self.work = root.resolve(), work
        self.paths = {"RUN": work / "run", "EXPORT": work / "export", "SCENE": scene}
        self.environment = os.environ | {"PYTHONPATH": str(self.root / "src")}

    def prepare(self, patches: Path) -> None:
        """Train and export."""
        share = TESTED / (TESTED + TRAINED)
        data = f"--data.path {patches} --data.split random --data.test_fraction {share} --data.validation_fraction 0"
        self.call(f"train --model resnet8 {data} --train.epochs 1 -o RUN")
        self.call("export RUN -o EXPORT")

    def has(self, row: str) -> bool:
        """Check whether the checkout can run the command of a row."""
        return row not in OLDER or (self.root / OLDER[row]).exists()

    def call(self, line: str) -> float:
        """Run a command, and return its wall time in seconds."""
        paths = self.paths | {"OUT": Path(tempfile.mkdtemp(dir=self.work)) / "out"}
        words = [str(paths.get(word, word)) for word in line.split()]
        return self.run(["-m", "compactnas", *words])

    def run(self, arguments: Sequence[str | Path]) -> float:
        """Run Python with the checkout's code."""
        began = time.perf_counter()
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.work, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{self.root}: {' '.join(command)}\n{done.stderr[-2000:]}")
        return time.perf_counter() - began

    def steps(self, draws: int) -> dict[str, float]:
        """Seconds of our step, and the ratios to the floor and to the published order."""
        found = {}
        for layout, batches in STEPS.items():
            file = self.work / "steps.json"
            kinds = ["--kinds", "ours", "floor", "plain", "--draws", str(draws), "--json", file]
            self.run([self.root / "benchmarks" / "search_step.py", "--layouts", layout, "--batches", *batches, *kinds])
            for batch, entry in json.loads(file.read_text())[layout].items():
                row = f"search step, {layout}, {batch}"
                found[row] = entry["ours_s"]
                found[f"{row}: published order / ours"] = entry["plain_over_ours"]
                found[f"{row}: ours / floor"] = 1 / entry["floor_over_ours"]
        return found


def write_patches(file: Path) -> None:
    """Patches of noise: a command takes as long on any."""
    rng, patches = np.random.default_rng(0), TESTED + TRAINED
    labels = np.arange(patches) % CLASSES
    images = rng.random((patches, len(BANDS), PX, PX), np.float32)
    np.savez(file, images=images, labels=labels, band_names=np.array(BANDS))


def measure(checkouts: Sequence[Checkout], rounds: int, draws: int) -> dict[str, list[float | None]]:
    """Figures of each checkout by row, None for a row that it does not have; the checkouts take turns."""
    times: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in checkouts])
    for _ in range(rounds):
        for row, line in COMMANDS.items():
            for place, checkout in enumerate(checkouts):
                if not checkout.has(row):
                    continue
                times[TORCH][place].append(checkout.run(["-c", TORCH]))
                times[row][place].append(checkout.call(line))
                print(f"{checkout.root.name}: {row}: {times[row][place][-1]:.2f} s", file=sys.stderr, flush=True)
    for place, checkout in enumerate(checkouts):
        for row, value in checkout.steps(draws).items() if draws else ():
            times[row][place].append(value)
    return {row: [median(values) if values else None for values in of] for row, of in times.items()}


def table(names: Sequence[str], figures: dict[str, list[float | None]]) -> str:
    """The figures in Markdown, in seconds but for ratios; `-` for a row that a checkout does not have."""
    lines = [f"| | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for row, values in figures.items():
        shown = ("-" if value is None else f"{value:.2f}" for value in values)
        lines.append(f"| {row} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, nargs="+", help="folder of a checkout")
    parser.add_argument("--rounds", type=int, default=2, help="turns of the commands")
    parser.add_argument("--draws", type=int, default=3, help="architectures drawn for a step; 0 leaves the steps out")
    parser.add_argument("--px", type=int, default=2400, help="side of the scene in pixels")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compactnas-waiting-") as folder:
        work = Path(folder)
        scene = make_scenes(work, [options.px], min(600, options.px))[options.px]
        write_patches(work / "patches.npz")
        checkouts = []
        for number, root in enumerate(options.checkout):
            (work / str(number)).mkdir()
            checkouts.append(Checkout(root, work / str(number), scene))
            checkouts[-1].prepare(work / "patches.npz")
        figures = measure(checkouts, options.rounds, options.draws)
    names = [checkout.root.name for checkout in checkouts]
    print(table(names, figures))
    if options.json:
        values = {row: dict(zip(names, of, strict=True)) for row, of in figures.items()}
        options.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
