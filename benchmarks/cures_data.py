"""The grounds of `benchmarks/cures.py`: patches of 16 px to search and train on, and others in places held out."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from compactnas.config import DataConfig
from compactnas.data import ArraySource, Dataset, Facts, open_dataset
from compactnas.data.source import block_mean
from compactnas.synthetic import write_world

PX = 16


def eurosat(folder: Path, places: Path | None = None) -> Dataset:
    """EuroSAT RGB: the small set's training patches, with their groups if known, and all of the validation places."""
    with np.load(folder / "eurosat_rgb_32_small.npz", allow_pickle=False) as small:
        chosen = small["split_spatial"] == 0
        images, labels = block_mean(small["images"][chosen], 32 // PX), small["labels"][chosen].astype(np.int64)
        classes = tuple(map(str, small["class_names"]))
        files = [f"{classes[label]}/{file}" for label, file in zip(labels, small["filenames"][chosen], strict=True)]
    with np.load(folder / "eurosat_rgb_64_jpeg.npz", allow_pickle=False) as archive:
        rows = np.flatnonzero(archive["split_spatial"] == 1)
        offsets, jpegs, every = archive["offsets"], archive["jpeg_bytes"], archive["labels"].astype(np.int64)
        pixels = [np.asarray(Image.open(BytesIO(jpegs[offsets[row] : offsets[row + 1]].tobytes()))) for row in rows]
    held_out = block_mean(np.stack(pixels).transpose(0, 3, 1, 2), 64 // PX)
    facts = Facts("EuroSAT RGB", ("red", "green", "blue"), classes, PX, np.concatenate([labels, every[rows]]))
    order = np.arange(len(labels) + len(rows))
    parts = {"train": order[: len(labels)], "validation": order[len(labels) :], "test": order[:0]}
    source = ArraySource(facts, np.concatenate([images, held_out]))
    if places is None:
        return Dataset(source, parts)
    with places.open(encoding="utf-8", newline="") as stream:
        group = {row["path"]: row["group"] for row in csv.DictReader(stream)}
    return Dataset(source, parts, groups=np.array([group[file] for file in files] + ["held out"] * len(rows)))


def world(folder: Path, places: Path | None = None) -> Dataset:
    """A made world: 6 cities to search and train on, 3 other cities to measure on."""
    if places is not None:
        raise SystemExit("--places: the made world has groups of its own; leave the option out")
    if not folder.exists():
        write_world(folder, cities=6, test_cities=3, patches=2400, seed=0)
    data = open_dataset(DataConfig(path=str(folder), downsample=2))
    held_out = np.sort(np.concatenate([data.parts["validation"], data.parts["test"]]))
    parts = {"train": data.parts["train"], "validation": held_out, "test": held_out[:0]}
    return Dataset(data.source, parts, data.warnings, data.groups, data.unit)


GROUNDS: dict[str, Callable[[Path, Path | None], Dataset]] = {"eurosat": eurosat, "world": world}
