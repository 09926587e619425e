"""How fast `compactnas prepare` streams a So2Sat file, beside plain h5py, and that a kill loses nothing.

    python benchmarks/preparing.py --scratch FOLDER --json preparing.json

A file in So2Sat's layout is made (contiguous float64, `sen2` and `label`; 60,000 patches take 4.9 GB) and
deleted at the end. In turn, h5py alone reads the same bands of the same file in order, and the whole command
packs it, from its start to its end. Between the two stands the floor of any program in Python that does this: one
that starts, reads everything and writes as many bytes as a packed set has, without a look at any of them. Cold, the
file dropped from the page cache before each (as is So2Sat's training file, larger than most machines' memory), and
warm. Then the command is killed with -9 half-way and started again; the checksums must be those of an
uninterrupted one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

CLASSES, SIDE, BANDS = 17, 32, 10
CHUNK = 512


def make_file(path: Path, patches: int) -> None:
    """Random reflectance, whole ten thousandths, as the sensor's numbers are."""
    rng = np.random.default_rng(0)
    pool = rng.integers(1, 9000, (CHUNK, SIDE, SIDE, BANDS)) / 10000
    with h5py.File(path, "w") as file:
        sen2 = file.create_dataset("sen2", (patches, SIDE, SIDE, BANDS), "float64")
        for start in range(0, patches, CHUNK):
            size = min(CHUNK, patches - start)
            sen2[start : start + size] = np.roll(pool, start, axis=2)[:size]
        file["label"] = np.eye(CLASSES)[np.arange(patches) % CLASSES]


def chunks(path: Path) -> Iterator[int]:
    """Patches of each chunk that h5py has read into one buffer."""
    with h5py.File(path, "r") as file:
        sen2 = file["sen2"]
        buffer = np.empty((CHUNK, *sen2.shape[1:]))
        for start in range(0, len(sen2), CHUNK):
            size = min(CHUNK, len(sen2) - start)
            sen2.read_direct(buffer, np.s_[start : start + size], np.s_[:size])
            yield size


def plain(path: Path) -> float:
    """Patches a second of h5py alone."""
    began = time.perf_counter()
    patches = sum(chunks(path))
    return patches / (time.perf_counter() - began)


def read_and_write(path: str, destination: str) -> None:
    """All that the floor does: as many bytes as a packed set has, whatever was read."""
    packed = np.zeros((CHUNK, SIDE, SIDE, BANDS), np.uint16)
    with Path(destination).open("wb", buffering=0) as out:
        for size in chunks(Path(path)):
            out.write(packed[:size].data.cast("B"))


def floor(path: Path, destination: Path, patches: int) -> float:
    """Patches a second of a program that only reads and writes, from its start to its end."""
    program = "import sys, preparing; preparing.read_and_write(*sys.argv[1:])"
    words = [sys.executable, "-c", program, str(path.resolve()), str(destination.resolve())]
    began = time.perf_counter()
    subprocess.run(words, check=True, cwd=Path(__file__).parent)
    rate = patches / (time.perf_counter() - began)
    destination.unlink()
    return rate


def forget(path: Path) -> None:
    """Drop the file from the page cache."""
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def start(path: Path, destination: Path) -> subprocess.Popen[bytes]:
    """The command, begun."""
    command = [sys.executable, "-m", "compactnas", "prepare", str(path), str(destination)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def packed(path: Path, destination: Path, patches: int) -> tuple[float, float]:
    """Patches a second of the whole command, and its peak memory in MB."""
    began, process, peak = time.perf_counter(), start(path, destination), 0
    while process.poll() is None:
        # What the system says of a process that has ended starts from what its parent held when it started it.
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) if "VmHWM:" in status else peak
        time.sleep(0.01)
    assert process.returncode == 0, process.returncode
    return patches / (time.perf_counter() - began), peak / 1024


def checksums(folder: Path) -> dict[str, str]:
    """Of the files of a packed set, by its manifest."""
    files = json.loads((folder / "manifest.json").read_text())["files"]
    return {name: entry["sha256"] for name, entry in files.items()}


def killed_half_way(path: Path, destination: Path, patches: int) -> int:
    """Kill the command when half of the set is saved, start it again; gives the rows that were done."""
    state = destination.with_name(f"{destination.name}.part") / "state.json"
    process, rows = start(path, destination), 0
    while rows < patches // 2:
        assert process.poll() is None, "it ended before half was saved"
        try:
            rows = json.loads(state.read_text())["rows"]
        except (OSError, ValueError):
            time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not destination.exists()
    assert start(path, destination).wait() == 0
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scratch", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    arguments = parser.parse_args()
    needed = arguments.patches * SIDE**2 * BANDS * (8 + 3 * 2)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        folder = Path(name)
        free = shutil.disk_usage(folder).free
        if free < needed + 2**30:
            sys.exit(f"{folder.parent}: {free / 1e9:.1f} GB are free, {needed / 1e9:.1f} are needed; name a --scratch")
        path = folder / "training.h5"
        make_file(path, arguments.patches)
        kinds = [f"{kind}_{state}" for state in ("cold", "warm") for kind in ("h5py", "floor", "prepare")]
        rates: dict[str, list[float]] = {kind: [] for kind in kinds}
        peaks = []
        for round_ in range(arguments.rounds):
            for state in ("cold", "warm"):
                shutil.rmtree(folder / "packed", ignore_errors=True)
                os.sync()  # what an earlier call wrote is not waited for in this one
                if state == "cold":
                    forget(path)
                rates[f"h5py_{state}"].append(plain(path))
                if state == "cold":
                    forget(path)
                rates[f"floor_{state}"].append(floor(path, folder / "bytes", arguments.patches))
                os.sync()
                if state == "cold":
                    forget(path)
                rate, peak = packed(path, folder / "packed", arguments.patches)
                rates[f"prepare_{state}"].append(rate)
                peaks.append(peak)
            line = ", ".join(f"{name} {values[-1]:.0f}" for name, values in rates.items())
            print(f"round {round_}, patches/s: {line}", flush=True)
        rows = killed_half_way(path, folder / "again", arguments.patches)
        same = checksums(folder / "again") == checksums(folder / "packed")
    figures = {name: statistics.median(values) for name, values in rates.items()}
    for state in ("cold", "warm"):
        for kind in ("floor", "prepare"):
            pairs = zip(rates[f"h5py_{state}"], rates[f"{kind}_{state}"], strict=True)
            ratios = sorted(ours / theirs for theirs, ours in pairs)
            figures[f"{kind}_over_h5py_{state}"] = statistics.median(ratios)
            print(f"{state}: {kind} / h5py {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")
    figures |= {"peak_mb": max(peaks), "killed_at": rows, "same_checksums": float(same)}
    outcome = "the same" if same else "OTHER"
    print(f"{arguments.rounds} rounds, peak {max(peaks):.0f} MB")
    print(f"killed with -9 at {rows} of {arguments.patches}, started again: {outcome} checksums")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
