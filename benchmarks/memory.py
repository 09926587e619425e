"""Whether a long search keeps to its memory: resident size of each quarter of it.

    python benchmarks/memory.py --minutes 30 --json memory.json

`compactnas search` by the recipe `quick` on a small made world, with more epochs than there is time for: its resident
memory is read twice a second until the time is over, then it is asked to stop (SIGTERM). It passes through epochs,
halves of the data and checkpoints on its way; a leak of any of them shows as a last quarter above the second.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compactnas.synthetic import write_world

QUARTERS, INTERVAL_S, LONG = 4, 0.5, 100_000


def resident_mb(process: int) -> float:
    """Resident memory of a process now."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def quarters(samples: list[float]) -> list[float]:
    """Largest of each quarter of the samples."""
    size = len(samples) // QUARTERS
    return [max(samples[place * size : (place + 1) * size]) for place in range(QUARTERS)]


def measure(minutes: float, folder: Path) -> tuple[list[float], int]:
    """Peak of each quarter of a search in MB, and the epochs that it ended."""
    world, run = folder / "world", folder / "run"
    write_world(world, cities=3, test_cities=1, patches=600, scene_px=280, seed=0)
    words = ["search", "--recipe", "quick", "--data.path", str(world), "--output", str(run)]
    words += ["--search.epochs", str(LONG), "--machine.threads", "1", "--machine.checkpoint_minutes", "1"]
    with (folder / "log").open("w") as log:
        search = subprocess.Popen([sys.executable, "-m", "compactnas", *words], stdout=log, stderr=log)
        samples: list[float] = []
        metrics = run / "search" / "metrics.jsonl"
        while not metrics.exists() and search.poll() is None:
            time.sleep(INTERVAL_S)
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end and search.poll() is None:
            samples.append(resident_mb(search.pid))
            time.sleep(INTERVAL_S)
        search.send_signal(signal.SIGTERM)
        code = search.wait()
    if code != 75:
        raise SystemExit(f"the search ended with {code}:\n{(folder / 'log').read_text()[-2000:]}")
    return quarters(samples), len(metrics.read_text().splitlines())


def main() -> int:
    """Measure, print, and fail where memory grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compactnas-memory-") as folder:
        peaks, epochs = measure(options.minutes, Path(folder))
    growth = peaks[3] / peaks[1] - 1
    print(f"{options.minutes:g} minutes, {epochs} epochs; peak resident memory of each quarter, MB:")
    print("  ".join(f"{peak:.1f}" for peak in peaks), f"  last against second: {100 * growth:+.2f} %")
    if options.json:
        figures = {"minutes": options.minutes, "epochs": epochs, "peak_mb": peaks, "growth": growth}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(growth > 0.03)


if __name__ == "__main__":
    sys.exit(main())
