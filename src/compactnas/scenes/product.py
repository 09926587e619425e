"""Folders with a file for each band: what all kinds of products share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.scenes.bands import sentinel_name

DRIVER = {".jp2": "JP2OpenJPEG", ".tif": "GTiff", ".tiff": "GTiff"}
"""Suffix of a band's file -> GDAL's name of its format."""

Files = dict[str, list[tuple[Path, str]]]
"""Name of a band -> its files in all resolutions, each with GDAL's name of its format."""


@dataclass(frozen=True)
class Product:
    """The files of one product.

    Attributes:
        path: Folder of the product.
        kind: Name of the kind of product, for messages.
        files: Files of each band.
        offsets: Offset added to the numbers of each band.
        scale: Factor from numbers to reflectance.
        offset: Offset of the reflectance, after scaling.
        fill: Number that stands for no data.
        mask: Name in `files` of the raster that marks clouds.
        bits: Bits of that raster that mark a pixel; 0 if it holds the classes of Sentinel-2's scene classification.
        notes: Assumptions about the product.
    """

    path: Path
    kind: str
    files: Files
    offsets: dict[str, int] = field(default_factory=dict)
    scale: float = 1 / 10_000
    offset: float = 0.0
    fill: float = 0.0
    mask: str = "SCL"
    bits: int = 0
    notes: tuple[str, ...] = ()

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in a fixed order."""
        return tuple(name for name in self.files if name != self.mask)

    def chosen(self, wanted: tuple[str, ...], reading: Reading) -> list[str]:
        """Names of these bands in `files`; all bands if none are given.

        Raises:
            UserError: A band is missing.
        """
        names = [sentinel_name(name) for name in wanted or self.bands]
        missing = [name for name in names if name not in self.bands]
        if not missing and names:
            return names
        known = ", ".join(self.bands) or "no file of a band"
        if reading.caller == "data" and names:
            raise UserError(f"data.bands: {self.path} has no band {missing[0]} ({self.kind} with {known})")
        if self.bands and not set(names) & set(self.bands):
            raise UserError(
                f"{self.path}: is {self.kind} with bands {known}, and the network takes {', '.join(wanted)}; use a "
                "network that was trained on such scenes"
            )
        name = missing[0] if missing else "B02"
        raise UserError(
            f"{self.path}: has no file of band {name} (found {known}); add one whose name ends with "
            f"_{name}.jp2 or _{name}.tif"
        )

    def added(self, name: str) -> float:
        """Offset added to the numbers of a band."""
        return float(self.offsets.get(name, 0))


def driver_of(file: Path) -> str:
    """GDAL's name of the format of a band's file; empty for other files."""
    return DRIVER.get(file.suffix.lower(), "")
