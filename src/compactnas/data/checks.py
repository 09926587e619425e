"""Checks at the door that every source of arrays shares; each names the row at fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.source import Groups, Indices
from compactnas.errors import UserError

MOST_PATCHES = 2**22
"""Ten times So2Sat. A small file can claim to hold more than any memory does; nothing is read of one that claims
more than this."""

MOST_VALUES = 2**24
"""Of one patch, over all bands: 1024 x 1024 pixels of 16 bands."""

MOST_NAME_BYTES = 2**28
"""Of the names of all patches together, in memory."""


def require_patch(pixels: int, bands: int, where: str) -> None:
    """Refuse patches that are none: a single one would take the memory of thousands."""
    if pixels * pixels * bands > MOST_VALUES:
        raise UserError(f"{where}: {bands} bands of {pixels} x {pixels} pixels are no patch; cut smaller ones")


def names_of(names: Sequence[str], numbers: Indices, where: str) -> Groups:
    """Name of each patch's group; an array of names takes as much for each as the longest one needs."""
    if len(numbers) * 4 * max(map(len, names), default=0) > MOST_NAME_BYTES:
        raise UserError(f"{where}: a name of {max(map(len, names))} letters is too long for {len(numbers)} patches")
    return np.array(names)[numbers]


def classes_of_one_hot(matrix: NDArray[np.generic], where: str, first: int = 0) -> NDArray[np.int64]:
    """Class of each row of a one-hot matrix (patches, classes), or of its rows from `first` on."""
    ones: NDArray[np.bool_] = matrix == 1
    wrong = ~((ones | (matrix == 0)).all(1) & (ones.sum(1) == 1))
    if wrong.any():
        row = first + int(wrong.argmax())
        raise UserError(f"{where}, row {row}: is not one-hot; each row needs a single 1 among zeros")
    classes: NDArray[np.int64] = ones.argmax(1).astype(np.int64)
    return classes


def require_finite(images: NDArray[Any], rows: Indices, where: str) -> None:
    """Refuse pixels that are NaN or infinite; `rows` are the names of the patches in the error."""
    with np.errstate(over="ignore", invalid="ignore"):
        if images.dtype.kind == "f" and np.isfinite(np.vdot(images, images)):  # fast; what overflows is looked at
            return
    finite = np.isfinite(images).reshape(len(images), -1).all(1)
    if not finite.all():
        raise UserError(
            f"{where}, row {rows[int(finite.argmin())]}: holds NaN or infinite pixels; repair or leave it out"
        )
