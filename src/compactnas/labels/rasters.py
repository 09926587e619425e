"""Read rasters of Local Climate Zones as people have them, for training and for assessing maps.

A raster may hold any type of number, LCZ 1 to 17 or codes 101 to 107 for A to G, and undeclared no data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from compactnas.errors import UserError
from compactnas.lcz import BUILT, NAMES
from compactnas.scenes.files import opened

STRIP_PIXELS = 2**22
"""Number of pixels to read at a time."""
LETTER_A = 101
"""Code of LCZ A in rasters that number the natural classes from 101 to 107."""
USUAL_NO_DATA = (-1.0, -99.0, -999.0, -9999.0, -32768.0, 255.0, 65535.0)
"""Numbers that stand for no data by custom, even if a file does not declare them."""
HUGE = 1e30
"""Smallest size of a number that stands for no data by custom: -3.4e38, 9.97e36."""
LABELS, FILTERED = "lcz", "lczFilter"
"""Descriptions of the bands of classes in files of WUDAPT's LCZ Generator."""

Labels = UInt8[np.ndarray, "rows columns"]
Values = Shaped[np.ndarray, "rows columns"]
Mask = Bool[np.ndarray, "rows columns"]


class Read(NamedTuple):
    """LCZ numbers of some pixels.

    Attributes:
        labels: LCZ 1 to 17, 0 for none.
        known: Mask of the pixels that the file does not declare as no data.
        zero: Mask of the pixels that hold 0.
    """

    labels: Labels
    known: Mask
    zero: Mask


class LabelRaster:
    """An open raster of LCZ numbers.

    Args:
        raster: Open raster.
        file: Its file, for messages.
        band: Number of the band of classes.
        notes: What was assumed so far, one line each.
    """

    def __init__(self, raster: Any, file: Path, band: int, *notes: str) -> None:
        self.raster, self.file, self.band = raster, file, band
        self._notes = list(notes)
        self._undeclared: dict[float, int] = {}
        self._letters = False

    def read(self, rows: tuple[int, int], columns: tuple[int, int]) -> Read:
        """Read a window, given by first row or column and the one after the last.

        Raises:
            UserError: A number is neither an LCZ nor no data, or the file is a picture.
        """
        from rasterio.windows import Window

        window = Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
        values, known = self.raster.read(self.band, window=window), self.raster.read_masks(self.band, window=window) > 0
        if values.dtype.kind not in "uif":
            raise UserError(f"{self.file}: holds numbers of type {values.dtype}; convert them to whole numbers")
        return Read(self._labels(values, known, (rows[0], columns[0])), known, values == 0)

    def strips(self) -> Iterator[tuple[int, Labels]]:
        """Read the whole raster in strips: first row, and LCZ numbers."""
        height, width = self.raster.height, self.raster.width
        rows = max(1, STRIP_PIXELS // width)
        for start in range(0, height, rows):
            yield start, self.read((start, min(start + rows, height)), (0, width)).labels

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions, one line each; counts are those of the pixels read so far."""
        letters = [f"{self.file}: codes {LETTER_A} to {LETTER_A + 6} are read as LCZ A to G"] if self._letters else []
        undeclared = [
            f"{self.file}: {count} pixels hold {value:g}, which the file does not declare as no data; read as no label"
            for value, count in self._undeclared.items()
        ]
        return (*self._notes, *letters, *undeclared)

    def _labels(self, values: Values, known: Mask, corner: tuple[int, int]) -> Labels:
        with np.errstate(invalid="ignore"):
            letters = (values >= LETTER_A) & (values < LETTER_A + len(NAMES) - BUILT)
            numbers = np.where(letters, values - (LETTER_A - BUILT - 1), values)
            valid = known & (numbers >= 1) & (numbers <= len(NAMES))
            labels = np.where(valid, numbers, 0).astype(np.uint8)
            other = known & (labels != numbers) & ~np.isnan(values)
        self._letters = self._letters or bool((letters & known).any())
        if other.any():
            self._require_no_data(values, other, corner)
        found: Labels = labels * ~other
        return found

    def _require_no_data(self, values: Values, other: Mask, corner: tuple[int, int]) -> None:
        """Count the numbers that stand for no data by custom, and refuse any other."""
        found, first, counts = np.unique(values[other], return_index=True, return_counts=True)
        usual = np.isin(found.astype(np.float64), USUAL_NO_DATA) | (np.abs(found.astype(np.float64)) >= HUGE)
        if not usual.all():
            wrong = np.flatnonzero(~usual)
            number = wrong[first[wrong].argmin()]
            place = np.flatnonzero(other)[first[number]]
            row, column = corner[0] + place // values.shape[1], corner[1] + place % values.shape[1]
            raise UserError(self._wrong(found[number], int(row), int(column)))
        for value, count in zip(found.astype(np.float64).tolist(), counts.tolist(), strict=True):
            self._undeclared[value] = self._undeclared.get(value, 0) + count

    def _wrong(self, value: Any, row: int, column: int) -> str:
        if is_picture(self.raster):
            return (
                f"{self.file}: is a picture in red, green and blue (row {row}, column {column} holds {value:g}); give "
                f"the raster of classes that it shows, with LCZ 1 to {len(NAMES)} in one band"
            )
        return (
            f"{self.file}: holds {value:g}; labels are LCZ numbers 1 to {len(NAMES)} (or 101 to 107 for A to G), 0 for "
            f"none; correct row {row}, column {column}, or declare {value:g} as no data"
        )


def is_picture(raster: Any) -> bool:
    """Check for bands of red, green and blue without the description `lcz`."""
    colours = [colour.name for colour in raster.colorinterp[:3]]
    return colours == ["red", "green", "blue"] and not _named(raster, LABELS)


@contextmanager
def opened_labels(file: Path, band: str = "", option: str = "data.label_band") -> Iterator[LabelRaster]:
    """Open a raster of labels.

    Args:
        file: GeoTIFF file.
        band: Number or description of the band of classes; by default, the one that `band_of` finds.
        option: Name of the option that gives the band, for messages.

    Raises:
        UserError: The file cannot be opened, has no such band, or has no place on the ground.
    """
    with opened(file) as raster:
        if raster.crs is None:
            raise UserError(f"{file}: has no coordinate system; set the one that it was made in (rio edit-info --crs)")
        if not all(map(np.isfinite, raster.transform[:6])) or raster.transform.is_degenerate:
            raise UserError(f"{file}: has no place on the ground; warp it to a map first (rio warp)")
        number, notes = band_of(raster, file, band, option)
        yield LabelRaster(raster, file, number, *notes)


def band_of(raster: Any, file: Path, wanted: str, option: str) -> tuple[int, tuple[str, ...]]:
    """Find the number of the band of classes; add a note if it was a guess.

    Args:
        raster: Open raster.
        file: Its file, for messages.
        wanted: Number or description of the band; if empty, the band `lcz`, else `lczFilter`, else the first.
        option: Name of the option that gives the band, for messages.

    Raises:
        UserError: The raster lacks the wanted band.
    """
    if not wanted:
        for name in (LABELS, FILTERED):
            if found := _named(raster, name):
                return found, ()
        if raster.count == 1 or is_picture(raster):
            return 1, ()
        return 1, (f"{file}: none of its {raster.count} bands is described as {LABELS}; band 1 is read ({option})",)
    if found := _named(raster, wanted):
        return found, ()
    if wanted.isdecimal() and len(wanted) < 6 and 1 <= int(wanted) <= raster.count:
        return int(wanted), ()
    names = [name or "" for name in raster.descriptions]
    known = ", ".join(f"{number} {name}".strip() for number, name in enumerate(names, 1))
    raise UserError(f"{option} {wanted}: {file} has {known}")


def _named(raster: Any, name: str) -> int:
    """Number of the band with this description, ignoring case; 0 if no band has it."""
    names = [(text or "").casefold() for text in raster.descriptions]
    return names.index(name.casefold()) + 1 if name.casefold() in names else 0
