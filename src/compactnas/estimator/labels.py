"""Class labels of a classifier: any numbers or text, kept with their type in the folder of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.arrays import as_array
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.lcz import NAMES
from compactnas.runs.task import Task

FILE = "class_labels.json"
AGAIN = "remove it, and the names of the classes are the labels"


@dataclass(frozen=True)
class ClassLabels:
    """Labels of the classes in the order of the network's outputs.

    Attributes:
        values: Labels, each once: sorted, or all 17 in their order if they are names of Local Climate Zones.
    """

    values: NDArray[Any]

    @classmethod
    def of(cls, labels: Any, patches: int) -> ClassLabels:
        """Collect the labels of patches.

        Raises:
            UserError: There is not one label for each patch, a label is missing, or there is a single class.
        """
        found = _array(labels)
        if found.shape != (patches,):
            raise UserError(f"y: has shape {found.shape}; give one class label for each of {patches} patches")
        if found.dtype.kind == "f":
            wrong = ~np.isfinite(found) | (found != np.round(found))
            if wrong.any():
                row = int(wrong.argmax())
                raise UserError(f"y, row {row}: {found[row]} is no class label; give whole numbers or text")
        values = np.unique(found)
        if len(values) < 2:
            raise UserError(f"y: has the single class {values[0]}; give patches of two classes or more")
        return cls(np.array(NAMES) if set(values.tolist()) <= set(NAMES) else values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(str(value) for value in self.values.tolist())

    def codes(self, labels: Any) -> NDArray[np.int64]:
        """Position of each label among the classes.

        Raises:
            UserError: A label is not one of them.
        """
        found = _array(labels)
        place = {value: position for position, value in enumerate(self.values.tolist())}
        codes = np.array([place.get(value, -1) for value in found.ravel().tolist()], np.int64)
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            raise UserError(f"y, row {row}: {str(found[row])[:80]!r} is not one of the classes {', '.join(self.names)}")
        return codes

    def write(self, folder: Path) -> None:
        """Write the labels into the folder of a run."""
        write_json(folder / FILE, {"labels": self.values.tolist()})

    @classmethod
    def read(cls, folder: Path) -> ClassLabels:
        """Read the labels of a run; without a file of their own they are the names of its classes.

        Raises:
            UserError: There is no run, or the file does not fit its classes.
        """
        names = Task.read(folder).classes
        if not (folder / FILE).exists():
            return cls(np.array(names))
        raw = read_json(folder / FILE, AGAIN)
        values = raw.get("labels") if isinstance(raw, dict) else None
        if not isinstance(values, list) or not values or tuple(map(str, values)) != names or not _alike(values):
            raise UserError(f"{folder / FILE}: does not hold the labels of {len(names)} classes; {AGAIN}")
        return cls(np.array(values))


def _alike(values: list[Any]) -> bool:
    """Check that JSON values are all text, or all numbers of one type."""
    return len({type(value) for value in values}) == 1 and isinstance(values[0], str | int | float)


def _array(labels: Any) -> NDArray[Any]:
    """Convert labels to an array; text in an object array, as of pandas, becomes text."""
    found = as_array(labels, "y")
    if found.dtype == object and all(isinstance(value, str) for value in found.flat):
        found = found.astype(np.str_)
    if found.dtype.kind not in "iubfU":
        raise UserError(f"y: has dtype {found.dtype}; give whole numbers or text")
    return found
