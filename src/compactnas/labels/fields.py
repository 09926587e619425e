"""Choose the field of the class, and read the class of each feature."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.labels.classes import is_missing, lcz_of, lcz_of_folder
from compactnas.labels.kml import FOLDER_FIELD
from compactnas.labels.reading import Features, counted
from compactnas.lcz import NAMES

USUAL = (
    "lcz",
    "class",
    "classes",
    "classid",
    "classname",
    "classvalue",
    "gridcode",
    "dn",
    "zone",
    "category",
    "label",
    FOLDER_FIELD,
    "name",
)
"""Usual names of the field in order of preference, in lower case and without spaces, hyphens and underscores.

The folder of a KML comes before the name: WUDAPT's template has a folder for each zone, and any name for a polygon.
"""
MOSTLY = 0.9
"""Share of values that must be zones for the others to be mistakes, not classes of another kind."""
MANY = 0.5
"""Share of zones in a field above which no other field is looked at."""
MOST_CLASSES = 1000
LISTED = 12


class Classes(NamedTuple):
    """Classes of features.

    Attributes:
        names: Names of the classes.
        indices: Class of each feature, -1 for none, (features,).
        lcz: Whether the classes are the 17 Local Climate Zones.
        notes: Assumptions, one line each.
    """

    names: tuple[str, ...]
    indices: NDArray[np.int64]
    lcz: bool
    notes: tuple[str, ...]


def classes_of(features: Features, rows: Sequence[int], field: str, option: str, lcz_only: bool) -> Classes:
    """Read the class of some features.

    Args:
        features: Features of a file.
        rows: Rows of the features to read, those with polygons.
        field: Name of the field; if empty, the first usual one that holds Local Climate Zones.
        option: Option that names the field, for messages.
        lcz_only: Whether classes other than Local Climate Zones are errors.

    Raises:
        UserError: There is no such field, or one of its values is no class.
    """
    indices = np.full(len(features.where), -1, np.int64)
    if field:
        column = features.fields[_named(features, field, option)]
        others = _other_classes(column, rows)
        if others and not lcz_only:
            number = {name: place for place, name in enumerate(others)}
            for row in rows:
                indices[row] = -1 if is_missing(column[row]) else number[text_of(column[row])]
            listed = ", ".join(others[:LISTED]) + (", ..." if len(others) > LISTED else "")
            note = f"{features.file}: the field {field} holds {len(others)} classes that are not LCZ: {listed}"
            if len(others) > MOST_CLASSES:
                raise UserError(f"{features.file}: the field {field} holds {len(others)} classes; name another field")
            return Classes(others, indices, False, (note,))
        candidates = [_named(features, field, option)]
    else:
        candidates = _usual(features)
        if not candidates:
            raise UserError(f"{features.file}: no field is named lcz or class; {_fields(features, option)}")
        candidates = _from_best(features, rows, candidates, option)
    filled = Counter[str]()
    for row in rows:
        for name in candidates:
            zone = _zone(name, features.fields[name][row])
            if zone is not None:
                indices[row] = zone
                filled[name] += 1
                break
            if name == candidates[0] and not is_missing(features.fields[name][row]) and name != FOLDER_FIELD:
                raise UserError(_wrong(features, row, name))
    return Classes(NAMES, indices, True, (*_notes(features, field, filled), *_contradictions(features, indices)))


def plain_name(field: str) -> str:
    """Write the name of a field in small letters, without spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", field).lower()


def _named(features: Features, field: str, option: str) -> str:
    """Find a field by its name; if there is no exact match, whatever its letters and spaces."""
    if field in features.fields:
        return field
    near = [name for name in features.fields if plain_name(name) == plain_name(field)]
    if len(near) != 1:
        raise UserError(f"{features.file}: has no field {field!r}; {_fields(features, option)}")
    return near[0]


def _usual(features: Features) -> list[str]:
    """List the fields with usual names, in order of preference; those that start with `lcz` come first."""
    order: dict[str, tuple[int, int]] = {}
    for place, name in enumerate(features.fields):
        plain = name if name == FOLDER_FIELD else plain_name(name)
        if plain in USUAL:
            order[name] = (USUAL.index(plain), place)
        elif plain.startswith("lcz"):
            order[name] = (0, len(features.fields) + place)
    return sorted(order, key=order.__getitem__)


def _from_best(features: Features, rows: Sequence[int], candidates: list[str], option: str) -> list[str]:
    """Drop the fields before the first one that holds zones in most of its values, or else in any of them."""
    shares: list[tuple[float, int]] = []
    for place, name in enumerate(candidates):
        shares.append(_share(features, name, rows))
        if shares[-1][0] > MANY:
            return candidates[place:]
    for place, (share, _) in enumerate(shares):
        if share > 0:
            return candidates[place:]
    wrong = next((name for name, (_, filled) in zip(candidates, shares, strict=True) if filled), None)
    if wrong is None or wrong == FOLDER_FIELD:
        raise UserError(f"{features.file}: no polygon has a class; {_fields(features, option)}")
    row = next(row for row in rows if not is_missing(features.fields[wrong][row]))
    others = len(features.fields) > len(candidates)
    raise UserError(_wrong(features, row, wrong) + (f", or: {_fields(features, option)}" if others else ""))


def _share(features: Features, name: str, rows: Sequence[int]) -> tuple[float, int]:
    """Return the share of zones among the values of a field, and the number of values."""
    values = [value for value in features.fields[name][rows] if not is_missing(value)]
    zones = sum(_zone(name, value) is not None for value in values)
    if name == FOLDER_FIELD:  # other folders hold what is no training area, such as the region of interest
        return float(zones > 0), len(values)
    return zones / max(len(values), 1), len(values)


def _zone(name: str, value: object) -> int | None:
    if is_missing(value):
        return None
    return lcz_of_folder(str(value)) if name == FOLDER_FIELD else lcz_of(value)


def _other_classes(column: NDArray[np.object_], rows: Sequence[int]) -> tuple[str, ...]:
    """Return the sorted names of other classes; nothing if the values are zones, or nearly all of them."""
    values = [value for value in column[rows] if not is_missing(value)]
    zones = sum(lcz_of(value) is not None for value in values)
    if not values or zones >= MOSTLY * len(values):
        return ()
    return tuple(sorted({text_of(value) for value in values}))


def text_of(value: object) -> str:
    """Write a value of a field as a name: whole numbers without a point."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()[:100]


def _wrong(features: Features, row: int, name: str) -> str:
    value = features.fields[name][row]
    value = value.item() if isinstance(value, np.generic) else value
    return (
        f"{features.file}, {features.where[row]}: the field {name} holds {str(value)[:40]!r}, which is no LCZ "
        "(1 to 17, A to G or a name); correct it"
    )


def _fields(features: Features, option: str) -> str:
    names = [name for name in features.fields if name != FOLDER_FIELD]
    listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
    return f"its fields are {listed or 'none'}; name the one with the classes with {option}"


def _notes(features: Features, field: str, filled: Counter[str]) -> list[str]:
    """Say which fields the classes come from, unless that is plain."""
    plain = {name for name in filled if field or plain_name(name).startswith(("lcz", "class"))}
    if len(filled) == 1 and plain:
        return []
    parts = [
        f"the {'folder' if name == FOLDER_FIELD else f'field {name}'}"
        + (f" ({counted(count, 'polygon')})" if len(filled) > 1 else "")
        for name, count in filled.items()
    ]
    return [f"{features.file}: classes are taken from {' and '.join(parts)}"] if parts else []


def _contradictions(features: Features, indices: NDArray[np.int64]) -> list[str]:
    """Count the placemarks of KML whose name is another zone than that of their folder, which counts."""
    folders, names = (features.fields.get(name) for name in (FOLDER_FIELD, "Name"))
    if folders is None or names is None:
        return []
    zones = [_zone("Name", name) for name in names]
    inside = [_zone(FOLDER_FIELD, folder) is not None for folder in folders]
    pairs = zip(zones, inside, indices.tolist(), strict=True)
    differ = sum(within and zone is not None and 0 <= index != zone for zone, within, index in pairs)
    if not differ:
        return []
    return [f"{features.file}: {counted(differ, 'polygon')} named after another class than the folder, which counts"]
