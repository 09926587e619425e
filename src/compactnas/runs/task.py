"""What a network is for: the bands that go in and the classes that come out, by name: its folder stands alone."""

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
    """What goes into a network and what comes out of it.

    Attributes:
        bands: names, in the order of the input's channels.
        classes: names, in the order of the output.
        patch_px: side of a patch.
        lcz: whether the classes are the 17 Local Climate Zones.
    """

    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_px: int
    lcz: bool

    def write(self, folder: Path) -> None:
        """Store it in a run's folder."""
        write_json(folder / FILE, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The task as JSON values."""
        return asdict(self) | {"bands": list(self.bands), "classes": list(self.classes)}

    @classmethod
    def read(cls, folder: Path) -> Task:
        """The task of a run's folder."""
        file = folder / FILE
        return cls.from_json(read_json(file, "train the network again"), str(file))

    @classmethod
    def from_json(cls, raw: Any, where: str) -> Task:
        """Read and check a task; `where` names its origin in error messages."""
        if not isinstance(raw, dict) or set(raw) != {"bands", "classes", "patch_px", "lcz"}:
            raise UserError(f"{where}: must have the keys bands, classes, patch_px and lcz")
        bands, classes = (_names(raw[key], f"{where}: {key}") for key in ("bands", "classes"))
        if type(raw["patch_px"]) is not int or type(raw["lcz"]) is not bool:
            raise UserError(f"{where}: patch_px must be a whole number, and lcz true or false")
        if raw["lcz"] and len(classes) != len(NAMES):
            raise UserError(f"{where}: says that {len(classes)} classes are the 17 Local Climate Zones")
        return cls(bands, classes, raw["patch_px"], raw["lcz"])


def _names(raw: Any, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_NAMES or not all(isinstance(name, str) for name in raw):
        raise UserError(f"{where} must be a list of 1 to {MOST_NAMES} names")
    if max(map(len, raw)) > LONGEST_NAME:
        raise UserError(f"{where} has a name of more than {LONGEST_NAME} letters")
    return tuple(raw)
