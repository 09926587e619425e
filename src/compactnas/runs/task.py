"""Task of a network: the names of its bands and classes, so that a run folder can be used without its data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.lcz import NAMES

FILE = "task.json"
MOST_NAMES, LONGEST_NAME = 10_000, 1000


@dataclass(frozen=True)
class Task:
    """Input and output of a network.

    Attributes:
        bands: Names of the bands, in the order of the input channels.
        classes: Names of the classes, in the order of the outputs.
        patch_px: Side of a patch in pixels.
        lcz: Whether the classes are the 17 Local Climate Zones.
    """

    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_px: int
    lcz: bool

    def write(self, folder: Path) -> None:
        """Write the task to a run's folder."""
        write_json(folder / FILE, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Task as JSON values."""
        return asdict(self) | {"bands": list(self.bands), "classes": list(self.classes)}

    @classmethod
    def read(cls, folder: Path) -> Task:
        """Read the task of a run's folder."""
        file = folder / FILE
        return cls.from_json(read_json(file, "train the network again"), str(file))

    @classmethod
    def from_json(cls, raw: Any, where: str) -> Task:
        """Check a task from JSON values; `where` names their file in error messages."""
        if not isinstance(raw, dict) or set(raw) != {"bands", "classes", "patch_px", "lcz"}:
            raise UserError(f"{where}: must have the keys bands, classes, patch_px and lcz; train the network again")
        bands, classes = (_names(raw[key], f"{where}: {key}") for key in ("bands", "classes"))
        if type(raw["patch_px"]) is not int or type(raw["lcz"]) is not bool:
            raise UserError(f"{where}: patch_px must be a whole number, and lcz true or false; train the network again")
        if raw["lcz"] and len(classes) != len(NAMES):
            raise UserError(
                f"{where}: lcz is true, but there are {len(classes)} classes instead of 17; set it to false"
            )
        return cls(bands, classes, raw["patch_px"], raw["lcz"])


def _names(raw: Any, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_NAMES or not all(isinstance(name, str) for name in raw):
        raise UserError(f"{where} must be a list of 1 to {MOST_NAMES} names; train the network again")
    if max(map(len, raw)) > LONGEST_NAME:
        raise UserError(f"{where} has a name of more than {LONGEST_NAME} characters; give a shorter one")
    return tuple(raw)
