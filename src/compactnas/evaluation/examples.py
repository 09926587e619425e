"""Right and wrong patches of each class as small pictures, which `evaluate` keeps for the report. No torch."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compactnas.data.source import Indices, Source
from compactnas.data.true_colour import band_words, shown_bands, stretched
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json

FILE = "examples.json"
AGAIN = "remove it, or evaluate the network again"
EACH = 3
"""Most right patches of a class, and most wrong ones."""
MOST = 120
"""Most patches in all. With more classes, those with the most wrong patches are shown."""
SIDE_PX = 32
"""Longest side of a picture; larger patches are averaged."""
STRETCH = (2, 98)
"""Percentiles of each band over these patches that become black and full colour."""
SEED = 0


@dataclass(frozen=True)
class Example:
    """A patch: its row in the data, true and predicted class, confidence, and picture as PNG."""

    row: int
    true: int
    predicted: int
    confidence: float
    png: bytes


@dataclass(frozen=True)
class Examples:
    """Patches of one evaluation.

    Attributes:
        evaluation: Fingerprint of the evaluation that the patches belong to.
        bands: Which bands are shown as red, green and blue.
        patches: Patches by true class, right ones first.
    """

    evaluation: str
    bands: str
    patches: tuple[Example, ...]

    def write(self, folder: Path) -> None:
        """Write `examples.json` into the folder of a run."""
        patches = [asdict(one) | {"png": b64encode(one.png).decode()} for one in self.patches]
        write_json(folder / FILE, {"evaluation": self.evaluation, "bands": self.bands, "patches": patches})

    @classmethod
    def read(cls, folder: Path) -> Examples | None:
        """Read `examples.json` of a run; None if there is none.

        Raises:
            UserError: The file is damaged.
        """
        if not (folder / FILE).exists():
            return None
        raw = read_json(folder / FILE, AGAIN)
        try:
            found = tuple(_example(one) for one in raw["patches"])
            return cls(str(raw["evaluation"]), str(raw["bands"]), found[:MOST])
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise UserError(f"{folder / FILE}: not patches of an evaluation ({reason}); {AGAIN}") from None


def _example(raw: Any) -> Example:
    """Check one patch: whole numbers, and a PNG of at most `SIDE_PX`."""
    content = b64decode(raw["png"], validate=True)
    with Image.open(BytesIO(content), formats=("PNG",)) as picture:
        if max(picture.size) > SIDE_PX:
            raise ValueError(f"a picture of {picture.size} px is too large")
        picture.load()
    return Example(int(raw["row"]), int(raw["true"]), int(raw["predicted"]), float(raw["confidence"]), content)


def fingerprint(part: str, confusion: NDArray[np.int64]) -> str:
    """Identify an evaluation by its part and its confusion matrix."""
    return hashlib.sha256(json.dumps([part, confusion.tolist()]).encode()).hexdigest()


def write_examples(
    folder: Path,
    source: Source,
    rows: Indices,
    predicted: NDArray[np.int64],
    confidence: NDArray[np.float32],
    evaluation: str,
) -> None:
    """Choose right and wrong patches of each class, and write them as pictures.

    Args:
        folder: Folder of the run.
        source: Patches.
        rows: Rows of the part.
        predicted: Predicted class of each row.
        confidence: Confidence of each prediction.
        evaluation: Fingerprint of the evaluation.
    """
    facts = source.facts
    true = facts.labels[rows].astype(np.int64)
    chosen = chosen_patches(true, predicted, confidence)
    pictures = _pictures(source, rows[chosen]) if len(chosen) else []
    patches = tuple(
        Example(int(rows[at]), int(true[at]), int(predicted[at]), round(float(confidence[at]), 4), picture)
        for at, picture in zip(chosen, pictures, strict=True)
    )
    Examples(evaluation, band_words(facts.bands), patches).write(folder)


def chosen_patches(
    true: NDArray[np.int64], predicted: NDArray[np.int64], confidence: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Choose patches of each class: right ones at random, wrong ones by falling confidence.

    Returns:
        Their positions, by true class, right ones first.
    """
    generator, wrong = np.random.default_rng(SEED), true != predicted
    order = np.argsort(-np.round(confidence.astype(np.float64), 4), kind="stable")
    classes = np.unique(true)
    if len(classes) * 2 * EACH > MOST:
        errors = np.bincount(true[wrong], minlength=int(classes.max()) + 1)[classes]
        classes = np.sort(classes[np.argsort(-errors, kind="stable")[: MOST // (2 * EACH)]])
    found = []
    for number in classes:
        found.append(generator.permutation(np.flatnonzero((true == number) & ~wrong))[:EACH])
        found.append(order[(true == number)[order] & wrong[order]][:EACH])
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


def _pictures(source: Source, rows: Indices) -> list[bytes]:
    """Draw patches as PNG with one common stretch."""
    images = np.asarray(source.batch(rows)[0][:, shown_bands(source.facts.bands)], np.float32)
    images = np.where(np.isfinite(images), images, 0)
    low, high = np.percentile(images, STRETCH, axis=(0, 2, 3))
    times = -(-images.shape[-1] // SIDE_PX)
    found = []
    for image in images:
        buffer = BytesIO()
        picture = Image.fromarray(stretched(image, low, high))
        (picture.reduce(times) if times > 1 else picture).save(buffer, "PNG", optimize=True)
        found.append(buffer.getvalue())
    return found
