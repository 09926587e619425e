"""Is the made world hard the way the real thing is hard? ResNet-20, a random forest, one-band thresholds.

    python benchmarks/world.py --out RUNS --json world.json        # a second call skips what is done

Makes a world (or takes `--world`), trains ResNet-20 with two seeds on a random 80/20 cut of the training
part and on all of it, tested on cities never seen, and sets beside it a random forest on statistics
of each band (mean, std, minimum, maximum, five quantiles). For each class the best threshold on one
band's mean says how far colour alone goes. Needs scikit-learn (the `dev` extra).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.config import DataConfig, MachineConfig, quick
from compactnas.data import Dataset, open_dataset
from compactnas.errors import UserError
from compactnas.lcz import CLASSES
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.synthetic import write_world

SPLITS = {"random": "d2", "unseen": "official"}
WORLD = {"cities": 12, "test_cities": 6, "patches": 8000, "scene_px": 512, "seed": 0}


def data_config(world: Path, split: str, seed: int) -> DataConfig:
    """The world's own parts, or its training part cut at random."""
    return DataConfig(path=str(world), split="d2" if SPLITS[split] == "d2" else "official", split_seed=seed)


def train(world: Path, folder: Path, split: str, seed: int, epochs: int, threads: int) -> dict[str, Any]:
    """ResNet-20 under the recipe `quick`; a run folder, which goes on where it was stopped."""
    recipe = quick()
    config = replace(
        recipe,
        data=data_config(world, split, seed),
        train=replace(recipe.train, epochs=epochs, validate_every=0),
        machine=MachineConfig(device="auto", threads=threads),
        seed=seed,
    )
    began = time.monotonic()
    train_stage(config, folder, "resnet20", resume=True)
    evaluation = evaluate_stage(folder).to_json()
    return {
        "measures": evaluation["measures"],
        "confusion": evaluation["confusion"],
        "seconds": time.monotonic() - began,
    }


def pixels(data: Dataset, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A part whole: (patch, band, row, column) and classes."""
    x, y = data.source.batch(data.parts[part])
    return np.asarray(x, np.float32), y


def statistics_of(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nine statistics of each band, (patch, 9 x band)."""
    flat = x.reshape(*x.shape[:2], -1)
    quantiles = np.quantile(flat, (0.1, 0.25, 0.5, 0.75, 0.9), axis=2)
    return np.concatenate([flat.mean(2), flat.std(2), flat.min(2), flat.max(2), *quantiles], axis=1).astype(np.float32)


def forest(world: Path, split: str, seed: int, threads: int) -> dict[str, Any]:
    """A random forest of 300 trees on band statistics."""
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError:
        raise UserError("the random forest needs scikit-learn; install with pip install 'compactnas[dev]'") from None
    data = open_dataset(data_config(world, split, seed))
    x, y = pixels(data, "train")
    model = RandomForestClassifier(300, random_state=seed, n_jobs=threads or None).fit(statistics_of(x), y)
    x, y = pixels(data, "test")
    return {"oa": float((model.predict(statistics_of(x)) == y).mean())}


def thresholds(world: Path) -> dict[str, dict[str, Any]]:
    """For each class the threshold on one band's mean that tells it best from all others, over all patches.

    Best is by balanced accuracy (0.5 is chance); the F1 is that of the best threshold for F1.
    """
    data = open_dataset(data_config(world, "unseen", 0))
    parts = [pixels(data, part) for part in ("train", "validation", "test")]
    means = np.concatenate([x.mean((2, 3)) for x, _ in parts])
    labels = np.concatenate([y for _, y in parts])
    best: dict[str, dict[str, Any]] = {}
    for index, lcz in enumerate(CLASSES):
        entry: dict[str, Any] = {"balanced_accuracy": 0.0, "f1": 0.0}
        for band, name in enumerate(data.source.facts.bands):
            order = np.argsort(means[:, band])
            mine = labels[order] == index
            for sign, hits in (("<", mine), (">", mine[::-1])):
                found, taken = hits.cumsum(), np.arange(1, len(hits) + 1)
                balanced = (found / hits.sum() + 1 - (taken - found) / (~hits).sum()) / 2
                place = int(balanced.argmax())
                value = float(means[order if sign == "<" else order[::-1], band][place])
                if balanced[place] > entry["balanced_accuracy"]:
                    entry |= {"band": name, "rule": sign, "threshold": value}
                    entry["balanced_accuracy"] = float(balanced[place])
                entry["f1"] = max(entry["f1"], float((2 * found / (taken + hits.sum())).max()))
        best[lcz.label] = entry
    return best


def kept(file: Path, make: Callable[[], Any]) -> Any:
    """What an earlier call found, or what is found now."""
    if not file.exists():
        value = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        part.replace(file)
    return json.loads(file.read_text(encoding="utf-8"))


def table(figures: dict[str, Any]) -> str:
    """The results in Markdown."""
    lines = ["| method | split | n | OA % | min-max |", "|---|---|---|---|---|"]
    for method, splits in figures["oa"].items():
        for split, values in splits.items():
            scaled = [100 * value for value in values]
            spread = f"{min(scaled):.1f}-{max(scaled):.1f}"
            lines.append(f"| {method} | {split} | {len(values)} | {statistics.mean(scaled):.1f} | {spread} |")
    lines += ["", "| LCZ | best rule on one band's mean | balanced accuracy | best F1 |", "|---|---|---|---|"]
    for label, rule in figures["thresholds"].items():
        text = f"{rule['band']} {rule['rule']} {rule['threshold']:.3f}"
        lines.append(f"| {label} | {text} | {rule['balanced_accuracy']:.3f} | {rule['f1']:.3f} |")
    return "\n".join(lines)


def measure(arguments: argparse.Namespace, world: Path) -> dict[str, Any]:
    """All figures, those that are there taken as they are."""
    out, oa = arguments.out, {"ResNet-20": {}, "random forest": {}}
    recall: list[list[float]] = []
    for split in SPLITS:
        runs, trees = [], []
        for seed in range(arguments.runs):
            trees.append(
                kept(
                    out / f"forest-{split}-{seed}.json", lambda s=split, k=seed: forest(world, s, k, arguments.threads)
                )
            )
            folder = out / f"resnet20-{split}-{seed}"
            runs.append(
                kept(
                    out / f"resnet20-{split}-{seed}.json",
                    lambda f=folder, s=split, k=seed: train(world, f, s, k, arguments.epochs, arguments.threads),
                )
            )
            print(
                f"{split} {seed}: ResNet-20 {runs[-1]['measures']['oa']:.4f}, forest {trees[-1]['oa']:.4f}", flush=True
            )
        oa["ResNet-20"][split] = [run["measures"]["oa"] for run in runs]
        oa["random forest"][split] = [tree["oa"] for tree in trees]
        if split == "unseen":
            recall = [[row[i] / max(sum(row), 1) for i, row in enumerate(run["confusion"])] for run in runs]
    rules = kept(out / "thresholds.json", lambda: thresholds(world))
    about = json.loads((world / "world.json").read_text(encoding="utf-8"))
    return {"oa": oa, "unseen_recall": recall, "thresholds": rules, "epochs": arguments.epochs, "world": about}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    temporary = Path(tempfile.gettempdir()) / "compactnas-world"
    parser.add_argument("--world", type=Path, help="folder of a made world; made there if it is missing")
    parser.add_argument("--out", type=Path, default=temporary, help="folder of runs and figures, outside the checkout")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--runs", type=int, default=2, help="seeds of each training")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    for name, value in WORLD.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    arguments = parser.parse_args()
    world = arguments.world or arguments.out / "world"
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        if not (world / "world.json").exists():
            print(f"making {world}", flush=True)
            write_world(world, **{name: getattr(arguments, name) for name in WORLD})
        figures = measure(arguments, world)
    except UserError as error:
        raise SystemExit(f"world: {error}") from None
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
