"""Checks at the door that every source of arrays shares; each names the row at fault."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.source import Indices
from compactnas.errors import UserError


def classes_of_one_hot(matrix: NDArray[np.generic], where: str) -> NDArray[np.int64]:
    """Class of each row of a one-hot matrix (patches, classes)."""
    ones: NDArray[np.bool_] = matrix == 1
    wrong = ~((ones | (matrix == 0)).all(1) & (ones.sum(1) == 1))
    if wrong.any():
        row = int(wrong.argmax())
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
