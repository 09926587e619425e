"""Task of a network: the names of its bands and classes, so that a run folder can be used without its data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compactnas.data import Facts, Normalization
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.labels.files import LabelFile, from_json, to_json
from compactnas.lcz import NAMES

FILE = "task.json"
MOST_NAMES, LONGEST_NAME = 10_000, 1000
REQUIRED, OPTIONAL = ("bands", "classes", "patch_px", "lcz"), ("pixel_m", "means", "deviations", "label_files")


@dataclass(frozen=True)
class Task:
    """Input and output of a network.

    Attributes:
        bands: Names of the bands, in the order of the input channels.
        classes: Names of the classes, in the order of the outputs.
        patch_px: Side of a patch in pixels.
        lcz: Whether the classes are the 17 Local Climate Zones.
        pixel_m: Side of a pixel in metres; None if the training data does not say.
        means: Mean of each band over the training part; empty if unknown.
        deviations: Standard deviation of each band over the training part; empty if unknown.
        label_files: Files that the labels of training come from; empty if unknown.
    """

    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_px: int
    lcz: bool
    pixel_m: float | None = field(default=None, compare=False)
    means: tuple[float, ...] = field(default=(), compare=False)
    deviations: tuple[float, ...] = field(default=(), compare=False)
    label_files: tuple[LabelFile, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, facts: Facts, normalisation: Normalization | None = None) -> Task:
        """Task of a network for this data."""
        means, deviations = (normalisation.mean, normalisation.std) if normalisation else ((), ())
        about = facts.pixel_m, means, deviations, facts.label_files
        return cls(facts.bands, facts.classes, facts.patch_px, facts.lcz, *about)

    def write(self, folder: Path) -> None:
        """Write the task to a run's folder."""
        write_json(folder / FILE, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Task as JSON values."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        values["label_files"] = to_json(self.label_files)
        return {name: value for name, value in values.items() if name in REQUIRED or value}

    @classmethod
    def read(cls, folder: Path) -> Task:
        """Read the task of a run's folder."""
        file = folder / FILE
        return cls.from_json(read_json(file, "train the network again"), str(file))

    @classmethod
    def from_json(cls, raw: Any, where: str) -> Task:
        """Check a task from JSON values; `where` names their file in error messages."""
        if not isinstance(raw, dict) or not set(REQUIRED) <= set(raw) <= {*REQUIRED, *OPTIONAL}:
            raise UserError(f"{where}: must have the keys bands, classes, patch_px and lcz; train the network again")
        bands, classes = (_names(raw[key], f"{where}: {key}") for key in ("bands", "classes"))
        if type(raw["patch_px"]) is not int or type(raw["lcz"]) is not bool:
            raise UserError(f"{where}: patch_px must be a whole number, and lcz true or false; train the network again")
        if raw["lcz"] and len(classes) != len(NAMES):
            raise UserError(
                f"{where}: lcz is true, but there are {len(classes)} classes instead of 17; set it to false"
            )
        means, deviations = (_numbers(raw.get(key, []), len(bands), f"{where}: {key}") for key in OPTIONAL[1:3])
        pixel_m = _numbers([raw["pixel_m"]], 1, f"{where}: pixel_m")[0] if "pixel_m" in raw else None
        if (pixel_m is not None and pixel_m <= 0) or any(value <= 0 for value in deviations):
            raise UserError(f"{where}: pixel_m and deviations must be above 0; train the network again")
        label_files = from_json(raw.get("label_files", []), f"{where}: label_files")
        return cls(bands, classes, raw["patch_px"], raw["lcz"], pixel_m, means, deviations, label_files)


def _names(raw: Any, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_NAMES or not all(isinstance(name, str) for name in raw):
        raise UserError(f"{where} must be a list of 1 to {MOST_NAMES} names; train the network again")
    if max(map(len, raw)) > LONGEST_NAME:
        raise UserError(f"{where} has a name of more than {LONGEST_NAME} characters; give a shorter one")
    return tuple(raw)


def _numbers(raw: Any, count: int, where: str) -> tuple[float, ...]:
    """Check a list of finite numbers that is empty or has this length."""
    numbers: list[Any] = raw if isinstance(raw, list) and len(raw) in (0, count) else [None]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise UserError(f"{where} must hold {count} finite numbers; train the network again")
    return tuple(map(float, numbers))
