"""Input checks that several formats share; an error names the wrong row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.source import Groups, Indices
from compactnas.errors import UserError

MOST_PATCHES = 2**22
"""Maximum number of patches, ten times So2Sat; a small file can claim more patches than any memory holds."""

MOST_VALUES = 2**24
"""Maximum number of values in a patch: 1024 x 1024 pixels with 16 bands."""

LARGEST = float(np.finfo(np.float32).max)
"""Largest number of float32."""

MOST_NAME_BYTES = 2**28
"""Maximum memory for the names of all patches, in bytes."""


def require_patch(pixels: int, bands: int, where: str) -> None:
    """Refuse oversized patches, because a single one would take the memory of thousands."""
    if pixels * pixels * bands > MOST_VALUES:
        raise UserError(
            f"{where}: {bands} bands of {pixels} x {pixels} pixels are too large for a patch; cut smaller ones"
        )


def names_of(names: Sequence[str], numbers: Indices, where: str) -> Groups:
    """Return the group name of each patch; in the array, each name takes as much memory as the longest one."""
    if len(numbers) * 4 * max(map(len, names), default=0) > MOST_NAME_BYTES:
        raise UserError(
            f"{where}: a name of {max(map(len, names))} letters is too long for {len(numbers)} patches; shorten it"
        )
    return np.array(names)[numbers]


def classes_of_one_hot(matrix: NDArray[np.generic], where: str, first: int = 0) -> NDArray[np.int64]:
    """Return the class of each row of a one-hot matrix (patches, classes); `first` is the number of its first row."""
    ones: NDArray[np.bool_] = matrix == 1
    wrong = ~((ones | (matrix == 0)).all(1) & (ones.sum(1) == 1))
    if wrong.any():
        row = first + int(wrong.argmax())
        raise UserError(f"{where}, row {row}: is not one-hot; each row needs a single 1 among zeros")
    classes: NDArray[np.int64] = ones.argmax(1).astype(np.int64)
    return classes


def require_finite(images: NDArray[Any], rows: Indices, where: str) -> None:
    """Refuse pixels that float32, in which networks compute, cannot hold; `rows` are the row numbers for the error."""
    with np.errstate(over="ignore", invalid="ignore"):
        # Fast: if the sum of squares is small enough, so is each pixel. Otherwise the exact check decides.
        square = np.vdot(images, images) if images.dtype.kind == "f" else np.inf
        if np.isfinite(square) and (images.dtype.itemsize <= 4 or square <= LARGEST**2):
            return
    fine = np.array([wrong_pixels(image) == "" for image in images])
    if not fine.all():
        row = int(fine.argmin())
        raise UserError(f"{where}, row {rows[row]}: holds {wrong_pixels(images[row])}; repair it or leave it out")


def wrong_pixels(images: NDArray[Any]) -> str:
    """Say which pixels float32 cannot hold: NaN and infinite ones, or too large ones; empty if it can hold all."""
    if not np.isfinite(images).all():
        return "NaN or infinite pixels"
    if images.dtype.kind == "f" and images.dtype.itemsize > 4 and (np.abs(images) > LARGEST).any():
        return f"pixels of more than {LARGEST:.2g}, the largest number of float32"
    return ""
