"""Read the names of bands and classes, and the normalisation, as a user types them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.io.untrusted import parse_json, read_text
from compactnas.lcz import NAMES
from compactnas.runs.task import LONGEST_NAME, MOST_NAMES

LCZ = "lcz"
"""Word for the 17 Local Climate Zones in the order of So2Sat's labels."""
MOST_TEXT = 2**20
"""Largest file of class names in bytes."""


def bands_of(text: str) -> tuple[str, ...]:
    """Read the names of bands: `B02,B03,B04`.

    Raises:
        UserError: No band is named, or a name is empty or occurs twice.
    """
    if not text:
        raise UserError("--bands: names no bands; name those of the network in its order, such as B02,B03,B04,B08")
    return _names(text.split(","), "--bands")


def classes_of(text: str) -> tuple[tuple[str, ...], bool]:
    """Read the names of classes: `lcz`, `water,forest,town`, or a file with a name in each line or a JSON list.

    Returns:
        Names, and whether they are the 17 Local Climate Zones.

    Raises:
        UserError: There are fewer than two, or a name is empty or occurs twice.
    """
    if not text:
        raise UserError("--classes: names no classes; give lcz, a list such as water,forest,town, or a file with a "
                        "name in each line, in the order of the network's outputs")  # fmt: skip
    if text.lower() == LCZ:
        return NAMES, True
    path = Path(text)
    if "," not in text and path.is_file():
        names = _names(_lines(path), f"--classes: {path}")
    elif "," not in text:
        raise UserError(f"--classes: {text!r} is no file, and one class is too few; give lcz, or a,b,c in order")
    else:
        names = _names(text.split(","), "--classes")
    return names, names == NAMES


def normalisation_of(
    file: str, mean: Sequence[float], std: Sequence[float], bands: Sequence[str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read the mean and the standard deviation of each band, in the network's numbers; both empty without any.

    Args:
        file: JSON file with `{"mean": [...], "std": [...]}`, or with `{"B02": {"mean": ..., "std": ...}, ...}` as in a
            run's `normalisation.json`; empty for no file.
        mean: Means, if there is no file.
        std: Standard deviations, likewise.
        bands: Names of the bands.

    Raises:
        UserError: Numbers are missing, or are not finite, or a standard deviation is not above 0.
    """
    where = "--mean, --std"
    given: Any = list(mean), list(std)
    if file:
        if mean or std:
            raise UserError("--normalise: gives the numbers of --mean and --std too; leave those out")
        where, raw = f"--normalise: {file}", read_json(Path(file), "give the mean and std of each band")
        given = _lists(raw, bands)
    means, stds = given
    if not means and not stds and not file:
        return (), ()
    for name, numbers in (("mean", means), ("std", stds)):
        fine = isinstance(numbers, list) and all(
            type(number) in (int, float) and math.isfinite(number) for number in numbers
        )
        if not fine or len(numbers) != len(bands):
            raise UserError(f"{where}: needs {len(bands)} finite numbers as {name}, one for each of {', '.join(bands)}")
    if min(stds) <= 0:
        raise UserError(f"{where}: a standard deviation of {min(stds):g} is not above 0; give positive ones")
    return tuple(map(float, means)), tuple(map(float, stds))


def _lists(raw: Any, bands: Sequence[str]) -> tuple[Any, Any]:
    """Find the means and standard deviations in JSON values; None if they are not there."""
    if not isinstance(raw, dict):
        return None, None
    if "mean" in raw and "std" in raw:
        return raw["mean"], raw["std"]
    entries = [entry for band in bands if isinstance(entry := raw.get(band), dict)]
    if len(entries) < len(bands):
        return None, None
    return [entry.get("mean") for entry in entries], [entry.get("std") for entry in entries]


def _lines(path: Path) -> list[str]:
    text = read_text(path, "give a text file with a class in each line", MOST_TEXT, errors="strict").lstrip("\ufeff")
    if not text.lstrip().startswith("["):
        return [line for line in text.splitlines() if line.strip()]
    try:
        raw = parse_json(text)
    except ValueError as error:
        raise UserError(f"--classes: {path}: not JSON ({error}); give a list of names") from None
    if not all(isinstance(name, str) for name in raw):
        raise UserError(f"--classes: {path}: must be a list of names; put each in quotes")
    return list(raw)


def _names(raw: Sequence[str], where: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in raw)
    if not 1 <= len(names) <= MOST_NAMES or not all(0 < len(name) <= LONGEST_NAME for name in names):
        raise UserError(f"{where}: has an empty name, or more than {MOST_NAMES}; give names separated by commas")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{where}: names {name[:40]!r} twice; each needs a name of its own")
    return names
