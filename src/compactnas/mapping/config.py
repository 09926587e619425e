"""Options of a map: its computation and the files to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Literal, TypeVar

from compactnas.config.values import from_values
from compactnas.errors import UserError

Config = TypeVar("Config")
Edges = Literal["mirror", "leave"]


@dataclass(frozen=True)
class MapConfig:
    """Options of a map.

    Attributes:
        stride_px: Distance between neighbouring windows and side of a map cell, in pixels; 0 makes cells of about
            100 m.
        edges: Treatment of the edges: `mirror` mirrors the scene so that the map covers all of it, `leave` maps only
            the cells whose window lies inside.
        min_valid: Smallest share of valid pixels in a window (no clouds, some data); invalid pixels become the mean.
        batch_size: Number of windows in a batch.
    """

    stride_px: int = 0
    edges: Edges = "mirror"
    min_valid: float = 1.0
    batch_size: int = 256

    def __post_init__(self) -> None:
        if not 0 < self.min_valid <= 1:
            raise UserError(f"--min-valid: {self.min_valid:g} is not above 0 and at most 1")
        if self.batch_size < 1:
            raise UserError(f"--batch-size: {self.batch_size} is less than 1")


@dataclass(frozen=True)
class Outputs:
    """Files that a map writes.

    Attributes:
        name: Start of the file names; if empty, the name of the scene.
        lonlat: Also write the map in degrees (EPSG:4326).
    """

    name: str = ""
    lonlat: bool = False

    def __post_init__(self) -> None:
        if self.name != Path(self.name).name or self.name.startswith("."):
            raise UserError(f"--name: {self.name!r} cannot start a file name; give a name without folders")


def config_of(kind: type[Config], options: Mapping[str, Any]) -> Config:
    """Make a config from its values among the options of a map.

    Raises:
        UserError: A value has another type, or is not allowed.
    """
    own = {name: options[name] for name in signature(kind).parameters if name in options}
    try:
        return from_values(kind, {name: str(v) if isinstance(v, Path) else v for name, v in own.items()})
    except TypeError as error:
        raise UserError(f"map: {' '.join(str(error).split())[:300]}") from None
