"""Write fake study folders for the report: plausible figures from formulas, in the format of real jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from compactnas import lcz
from compactnas.config import DataConfig, MachineConfig, SearchConfig, TrainConfig
from compactnas.nn.baselines import BASELINES
from compactnas.reporting.study.paper import SENTINEL_2
from compactnas.runs.folder import config_values
from compactnas.space.genotype import Genotype
from compactnas.studies import StudyConfig, StudyJob, expand
from support.fake_run import PAPER_CELL, confusion_like, write_evaluation, write_search, write_training

COSTS = {"resnet8": (13_530_000, 79_300), "resnet20": (41_850_000, 273_700), "resnet110": (254_180_000, 1_732_000)}
ACCURACY = {"resnet8": 0.60, "resnet20": 0.65, "resnet110": 0.68, "S": 0.64, "S+C": 0.645, "S+D": 0.66, "S+C+D": 0.63}
SEARCHED = {
    "S": (30_370_000, 224_000),
    "S+C": (24_100_000, 165_000),
    "S+D": (20_050_000, 140_000),
    "S+C+D": (18_420_000, 130_000),
}

DUMPER = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper  # in C, ten times as fast

Confusion = Callable[[StudyJob], NDArray[np.int64]]


def fake_study(**changes: Any) -> StudyConfig:
    """Make a study with two splits, all methods, two searches and two trainings of each."""
    study = StudyConfig(
        data=DataConfig(path="somewhere/world"),
        searches=2,
        retrainings=2,
        search=SearchConfig(epochs=6),
        train=TrainConfig(epochs=4),
        machine=MachineConfig(device="cpu", threads=2),
    )
    return replace(study, **changes)


def plausible(job: StudyJob) -> NDArray[np.int64]:
    """Make a confusion matrix with about the accuracy of the method, slightly different for each seed."""
    easier = 0.2 if job.split == "d2" else 0.0
    accuracy = ACCURACY.get(job.method, 0.62) + easier + 0.01 * job.config.seed
    return confusion_like(17, accuracy, seed=len(job.method) + 10 * job.config.seed)


def write_fake_study(
    study: StudyConfig,
    root: Path,
    *,
    confusion: Confusion = plausible,
    classes: Sequence[str] = lcz.NAMES,
    parts: dict[str, dict[str, int]] | None = None,
    warnings: dict[str, list[str]] | None = None,
    keep: Callable[[StudyJob], bool] = lambda job: True,
) -> Path:
    """Write the folders of a study's jobs.

    Args:
        study: Config of the study.
        root: Folder of the study.
        confusion: Function that makes the confusion matrix of a training job.
        classes: Class names.
        parts: Number of patches in each part, by split.
        warnings: Warnings by split.
        keep: Function that selects the finished jobs; nothing is written for the others.
    """
    for number, job in enumerate(expand(study)):
        if keep(job):
            _write_job(job, job.folder(root), number, confusion, classes)
            split = job.split or study.search_split
            sizes = (parts or {}).get(split, {"train": 400, "test": 100})
            np.savez(job.folder(root) / "splits.npz", **{name: np.arange(n) for name, n in sizes.items()})
            _dump(job.folder(root) / "warnings.json", (warnings or {}).get(split, []))
    return root


def genotype_of(job: StudyJob) -> Genotype:
    """Make a genotype that differs for each method and seed."""
    names = ("sep_conv_3x3", "dil_conv_5x5", "skip_connect", "avg_pool_3x3", "none", "sep_conv_5x5")
    start = len(job.method) + job.config.seed
    nodes = tuple(
        tuple((names[(start + node + place) % len(names)], source) for place, (_, source) in enumerate(edges))
        for node, edges in enumerate(PAPER_CELL.nodes)
    )
    return Genotype(nodes=nodes, depths=(1, 1, 1) if "D" in job.method else (3, 3, 3))


def _write_job(job: StudyJob, folder: Path, number: int, confusion: Confusion, classes: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.dump(config_values(job.config), Dumper=DUMPER)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    _dump(folder / "environment.json", {"torch": "2.13.0+cpu", "threads": 2, "gpu": None})
    _dump(folder / "normalisation.json", {band: {"mean": 0.1, "std": 0.02} for band in SENTINEL_2})
    genotype = genotype_of(job)
    if job.method not in BASELINES:
        (folder / "genotype.json").write_text(genotype.to_json(), encoding="utf-8")
    if job.kind == "search":
        write_search(folder, genotype, job.config.search.epochs)
        _dump(folder / "search" / "seconds.json", 60.5 + number)
    elif job.kind == "random_search":
        (folder / "search").mkdir(exist_ok=True)
        values = json.loads(genotype.to_json())
        rows = [
            {"candidate": place, "macs": 18_000_000 + place, "accuracy": 0.5 - 0.01 * place, "work": 1.0}
            | {"genotype": values | {"depths": [1 + place, 1, 1]}}
            for place in range(3)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "search" / "candidates.jsonl").write_text(lines, encoding="utf-8")
        (folder / "genotype.json").write_text(Genotype.from_json(json.dumps(rows[0]["genotype"]), "").to_json())
        _dump(folder / "search" / "seconds.json", 99.0)
    else:
        _write_training(job, folder, genotype, confusion, classes)
        _dump(folder / "train" / "seconds.json", 30.0 + number)
    _dump(folder / "job.json", {"name": job.name, "needs": [need.key for need in job.needs]})


def _write_training(
    job: StudyJob, folder: Path, genotype: Genotype, confusion: Confusion, classes: Sequence[str]
) -> None:
    baseline = job.method in BASELINES
    macs, parameters = (COSTS | SEARCHED).get(job.method, (18_400_000 + job.config.seed, 131_000))
    raw = None if baseline else json.loads(genotype.to_json())
    spec = {"name": job.method if baseline else "genotype", "bands": 10, "classes": len(classes), "patch_px": 32}
    _dump(folder / "model.json", spec | {"genotype": raw})
    write_training(folder, job.config.train.epochs)
    write_evaluation(
        folder,
        model=str(spec["name"]),
        classes=classes,
        confusion=confusion(job),
        macs=macs,
        parameters=parameters,
        genotype=None if baseline else genotype,
    )


def _dump(file: Path, values: object) -> None:
    file.write_text(json.dumps(values), encoding="utf-8")
