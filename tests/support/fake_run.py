"""Write fake run folders for the report: plausible figures from formulas, in the format of real run folders."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from compactnas import lcz
from compactnas.config import RunConfig, SearchConfig
from compactnas.evaluation.examples import Example, Examples, fingerprint
from compactnas.evaluation.metrics import confusion_measures
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import DARTS_OPERATIONS
from compactnas.space.search_space import Space

PAPER_CELL = Genotype(
    nodes=(
        (("sep_conv_3x3", 0),),
        (("skip_connect", 0), ("dil_conv_5x5", 1)),
        (("none", 0), ("max_pool_3x3", 1), ("sep_conv_5x5", 2)),
    ),
    depths=(1, 2, 1),
)
NASNET_CELL = Genotype(
    nodes=(
        (("sep_conv_3x3", 0), ("skip_connect", 1)),
        (("skip_connect", 0), ("dil_conv_5x5", 2)),
        (("avg_pool_3x3", 1), ("max_pool_3x3", 3)),
        (("sep_conv_3x3", 0), ("sep_conv_5x5", 2)),
    ),
    depths=(2, 2, 3),
    layout="nasnet",
)


def confusion_like(classes: int, accuracy: float, seed: int, absent: Sequence[int] = ()) -> NDArray[np.int64]:
    """Make a confusion matrix with about this accuracy, and errors near the diagonal."""
    random = np.random.default_rng(seed)
    rows = []
    for true in range(classes):
        weights = np.exp(-0.45 * np.abs(np.arange(classes) - true)) * random.uniform(0.05, 1, classes)
        weights[true] = 0
        hit = min(max(accuracy + random.normal(0, 0.14), 0.05), 0.98)
        weights = weights / max(weights.sum(), 1e-9) * (1 - hit)
        weights[true] = hit
        patches = 0 if true in absent else int(random.integers(150, 2500))
        rows.append(random.multinomial(patches, weights / weights.sum()))
    return np.array(rows, dtype=np.int64)


def write_evaluation(
    folder: Path,
    *,
    model: str = "genotype",
    classes: Sequence[str] = lcz.NAMES,
    confusion: NDArray[np.int64] | None = None,
    accuracy: float = 0.64,
    macs: int = 18_421_000,
    parameters: int = 130_000,
    genotype: Genotype | None = None,
) -> None:
    """Write `evaluation.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = confusion_like(len(classes), accuracy, seed=len(model)) if confusion is None else confusion
    raw = {
        "model": model,
        "part": "test",
        "measures": asdict(confusion_measures(counts, tuple(classes) == lcz.NAMES)),
        "classes": list(classes),
        "confusion": counts.tolist(),
        "macs": macs,
        "parameters": parameters,
        "depths": None if genotype is None else list(genotype.depths),
        "n": int(counts.sum()),
    }
    (folder / "evaluation.json").write_text(json.dumps(raw), encoding="utf-8")


def write_examples(folder: Path) -> None:
    """Write `examples.json` of a folder with an evaluation: a right and a wrong patch of each of its classes."""
    raw = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    buffer = BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(buffer, "PNG")
    count = len(raw["classes"])
    patches = [
        Example(2 * true + wrong, true, (true + wrong) % count, 0.9, buffer.getvalue())
        for true in range(count)
        for wrong in (0, 1)
    ]
    evaluation = fingerprint(raw["part"], np.array(raw["confusion"], dtype=np.int64))
    Examples(evaluation, "true colour (B04, B03, B02)", tuple(patches)).write(folder)


def write_training(folder: Path, epochs: int = 105, final: float = 0.97) -> None:
    """Write `train/metrics.jsonl`."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    rows = []
    for epoch in range(1, epochs + 1):
        done = 1 - math.exp(-4 * epoch / epochs)
        rows.append(
            {
                "epoch": epoch,
                "loss": round(2.4 * (1 - done) + 0.08 + 0.03 * math.sin(epoch * 1.7), 6),
                "accuracy": round(0.25 + (final - 0.25) * done, 6),
                "learning_rate": round(0.001 + 0.024 * (1 + math.cos(math.pi * epoch / epochs)) / 2, 8),
                "validation_oa": round(0.3 + 0.34 * done + 0.02 * math.sin(epoch), 6) if epoch % 5 == 0 else None,
            }
        )
    _write_rows(folder / "train" / "metrics.jsonl", rows)


def write_search(folder: Path, genotype: Genotype, epochs: int = 105) -> None:
    """Write `search/metrics.jsonl` and `search/alpha.json`."""
    (folder / "search").mkdir(parents=True, exist_ok=True)
    rows = []
    for epoch in range(1, epochs + 1):
        done = epoch / epochs
        rows.append(
            {
                "epoch": epoch,
                "loss_weights": round(2.6 * math.exp(-2.2 * done) + 0.5 + 0.05 * math.sin(2.1 * epoch), 6),
                "accuracy_weights": round(0.2 + 0.62 * (1 - math.exp(-3 * done)), 6),
                "loss_alpha": round(2.6 * math.exp(-2.0 * done) + 0.72 + 0.06 * math.sin(1.3 * epoch), 6),
                "accuracy_alpha": round(0.2 + 0.53 * (1 - math.exp(-3 * done)), 6),
                "complexity": round(0.021 * (1 - 0.4 * done), 6),
                "tau": round(10 - 9 * (epoch - 1) / max(epochs - 1, 1), 6),
                "learning_rate": round(0.001 + 0.024 * (1 + math.cos(math.pi * done)) / 2, 8),
                "entropy": round(math.log(8) * (1 - 0.75 * done**2), 6),
                "expected_macs": round(24e6 - 5.5e6 * done),
                "depths": [round(3 + (d - 3) * done, 4) for d in genotype.depths],
                "derived_depths": [3 if done < 0.4 else d for d in genotype.depths],
                "derived_macs": 26_000_000 if done < 0.4 else 18_421_000,
                "genotype_nodes": [[list(edge) for edge in edges] for edges in genotype.nodes],
            }
        )
    _write_rows(folder / "search" / "metrics.jsonl", rows)
    space = Space(layout=genotype.layout, nodes=len(genotype.nodes) + (genotype.layout == "paper"))
    chosen = {(node, source): name for node, edges in enumerate(genotype.nodes) for name, source in edges}
    random = np.random.default_rng(3)
    logits = random.normal(0, 0.7, (len(space.edges), len(DARTS_OPERATIONS)))
    for row, edge in enumerate(space.edges):
        if edge in chosen:
            logits[row, DARTS_OPERATIONS.index(chosen[edge])] = 2.4
    depth_logits = random.normal(0, 0.4, (len(genotype.depths), 5))
    for block, depth in enumerate(genotype.depths):
        depth_logits[block, depth - 1] = 2.0
    alpha = {
        "operations": list(DARTS_OPERATIONS),
        "edges": [list(edge) for edge in space.edges],
        "probabilities": _softmax(logits),
        "depths": [1, 2, 3, 4, 5],
        "depth_probabilities": _softmax(depth_logits),
    }
    (folder / "search" / "alpha.json").write_text(json.dumps(alpha), encoding="utf-8")


def write_run(folder: Path, genotype: Genotype = PAPER_CELL, *, epochs: int = 105, **evaluation: Any) -> Path:
    """Write a whole folder as `compactnas run` does."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads(json.dumps(asdict(RunConfig(search=SearchConfig(epochs=epochs)))))
    config["train"]["epochs"] = epochs
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    environment = {
        "compactnas": "0.1.0",
        "python": "3.11.7",
        "torch": "2.13.0+cpu",
        "numpy": "2.3.1",
        "threads": 2,
        "gpu": None,
    }
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    (folder / "genotype.json").write_text(genotype.to_json(), encoding="utf-8")
    classes = evaluation.get("classes", lcz.NAMES)
    spec = {"name": "genotype", "bands": 10, "classes": len(classes), "patch_px": 32}
    (folder / "model.json").write_text(
        json.dumps(spec | {"genotype": json.loads(genotype.to_json())}), encoding="utf-8"
    )
    write_search(folder, genotype, epochs)
    write_training(folder, epochs)
    write_evaluation(folder, genotype=genotype, **evaluation)
    return folder


def write_baseline(folder: Path, model: str, accuracy: float, macs: int, parameters: int) -> Path:
    """Write the folder of a baseline as `compactnas train` and `evaluate` do."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(asdict(RunConfig())))), encoding="utf-8")
    write_training(folder)
    write_evaluation(folder, model=model, accuracy=accuracy, macs=macs, parameters=parameters)
    return folder


def _softmax(logits: NDArray[np.float64]) -> list[list[float]]:
    powers = np.exp(logits)
    return [[round(float(p), 6) for p in row] for row in powers / powers.sum(axis=1, keepdims=True)]


def _write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
