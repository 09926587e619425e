"""Patches that are in memory already, as NumPy arrays or torch tensors, as a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import MOST_PATCHES, require_finite, require_patch
from compactnas.data.source import ArraySource, Facts, Groups, Indices
from compactnas.errors import UserError
from compactnas.lcz import NAMES
from compactnas.scenes.bands import of_patches


def checked_images(images: Any, where: str = "images") -> NDArray[Any]:
    """Return patches as an array (patches, bands, rows, columns) of real numbers.

    Args:
        images: NumPy array, torch tensor (copied to the CPU), or what `np.asarray` takes.
        where: Name of the argument in messages.

    Raises:
        UserError: The shape is another one, the patches are not square, or a pixel is no finite real number.
    """
    found = as_array(images, where)
    if found.ndim != 4 or found.shape[2] != found.shape[3] or not found.size:
        raise UserError(
            f"{where}: has shape {found.shape}; give square patches as (patches, bands, rows, columns), at least one"
        )
    if found.dtype.kind not in "uif":
        raise UserError(f"{where}: has dtype {found.dtype}; give real numbers")
    if len(found) > MOST_PATCHES:
        raise UserError(f"{where}: has {len(found)} patches, more than {MOST_PATCHES}; give fewer")
    require_patch(found.shape[2], found.shape[1], where)
    require_finite(found, np.arange(len(found)), where)
    return found


def array_source(
    pixels: NDArray[Any],
    labels: Any,
    groups: Any = None,
    *,
    classes: Sequence[str] = (),
    bands: Sequence[str] = (),
    parts: dict[str, Indices] | None = None,
    name: str = "arrays",
) -> ArraySource:
    """Make a source of patches in memory; the images are not copied.

    Args:
        pixels: Patches that `checked_images` returned, (patches, bands, rows, columns).
        labels: Class of each patch, whole numbers from 0.
        groups: Group of each patch (city, polygon), or None.
        classes: Names of the classes; by default 0, 1, 2, ...
        bands: Names of the bands; by default R, G, B for three bands, else band1, band2, ...
        parts: Rows of the parts `train`, `validation` and `test`; by default all rows are `train`.
        name: Name for tables.

    Raises:
        UserError: An argument has a wrong shape, or a value is out of range.
    """
    codes = _of_patches(labels, len(pixels), "labels")
    if codes.dtype.kind not in "iub":
        raise UserError(f"labels: have dtype {codes.dtype}; give whole numbers from 0")
    codes = codes.astype(np.int64)
    names = tuple(map(str, classes)) or tuple(map(str, range(int(codes.max()) + 1)))
    if codes.min() < 0 or codes.max() >= len(names):
        raise UserError(
            f"labels: {codes.min()} to {codes.max()} do not fit {len(names)} classes, 0 to {len(names) - 1}"
        )
    channels = pixels.shape[1]
    default = of_patches(channels)
    if len(bands or default) != channels or len(set(bands)) != len(bands):
        raise UserError(f"bands: {len(set(bands))} different names for {channels} bands; name each band once")
    facts = Facts(
        name=name,
        bands=tuple(map(str, bands)) or default,
        classes=names,
        patch_px=pixels.shape[2],
        labels=codes,
        groups=None if groups is None else _names(groups, len(pixels)),
        parts=parts or {"train": np.arange(len(pixels)), "test": np.arange(0)},
        lcz=names == NAMES,
    )
    return ArraySource(facts, pixels)


def as_array(values: Any, where: str) -> NDArray[Any]:
    """Convert to an array; a tensor is copied to the CPU.

    Raises:
        UserError: The values are not of one shape; `where` names the argument.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: cannot be made an array ({error}); give one array") from None


def _of_patches(values: Any, patches: int, where: str) -> NDArray[Any]:
    """Convert to an array with one value for each patch."""
    found = as_array(values, where)
    if found.shape != (patches,):
        raise UserError(f"{where}: have shape {found.shape}; give one for each of {patches} patches")
    return found


def _names(groups: Any, patches: int) -> Groups:
    return _of_patches(groups, patches, "groups").astype(np.str_)
