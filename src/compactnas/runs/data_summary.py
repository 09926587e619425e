"""Summary of a run's data: patches, groups and classes of each part, so that reports do not open the data again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.data import Dataset
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json

FILE = "data_summary.json"


@dataclass(frozen=True)
class PartSummary:
    """Size of one part.

    Attributes:
        patches: Number of patches.
        groups: Number of groups; None if the groups are unknown.
        classes: Number of patches of each class.
    """

    patches: int
    groups: int | None
    classes: tuple[int, ...]


@dataclass(frozen=True)
class DataSummary:
    """Summary of the data of a run.

    Attributes:
        name: Name of the source.
        format: Name of the data format; empty if unknown.
        unit: What a group is, in the singular: `group` (polygon, city) or `block`.
        parts: Size of each part that has patches.
    """

    name: str
    format: str
    unit: str
    parts: dict[str, PartSummary]

    @classmethod
    def of(cls, data: Dataset) -> DataSummary:
        """Summarise a dataset."""
        facts = data.source.facts
        parts = {
            part: PartSummary(
                patches=len(rows),
                groups=None if data.groups is None else len(np.unique(data.groups[rows])),
                classes=tuple(np.bincount(facts.labels[rows], minlength=len(facts.classes)).tolist()),
            )
            for part, rows in data.parts.items()
            if len(rows)
        }
        return cls(facts.name, data.format, data.unit, parts)

    def write(self, folder: Path) -> None:
        """Write the summary to a run's folder."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> DataSummary | None:
        """Read the summary of a run's folder; None if it has none.

        Raises:
            UserError: The file is damaged.
        """
        file = folder / FILE
        if not file.exists():
            return None
        again = "remove it, or train the network again"
        raw = read_json(file, again)
        try:
            return cls(
                name=str(raw["name"]),
                format=str(raw["format"]),
                unit=str(raw["unit"]),
                parts={str(part): _part(values) for part, values in raw["parts"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise UserError(f"{file}: not a summary of data ({reason}); {again}") from None


def _part(raw: Any) -> PartSummary:
    groups = None if raw["groups"] is None else int(raw["groups"])
    return PartSummary(int(raw["patches"]), groups, tuple(map(int, raw["classes"])))
