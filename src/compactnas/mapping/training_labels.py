"""Labels of training as the reference of a map: recognise them, or keep only some of their polygons or areas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.labels.areas import Areas, area_names
from compactnas.labels.files import LabelFile, from_json
from compactnas.labels.polygons import Polygon
from compactnas.labels.rasters import LabelRaster


def kept_polygons(file: Path, polygons: list[Polygon], units: frozenset[str]) -> frozenset[int]:
    """Numbers (from 1) of the polygons among these units.

    Raises:
        UserError: There is none.
    """
    found = frozenset(number for number, polygon in enumerate(polygons, 1) if polygon.name in units)
    _require_units(file, "polygons", len(found), units)
    return found


def _require_units(file: Path, kind: str, found: int, units: frozenset[str]) -> None:
    if not found:
        held = ", ".join(sorted(units)[:3])
        raise UserError(f"--held-out: the run held out {held}, not {kind} of {file}; assess without --held-out")


@contextmanager
def kept_areas(labels: LabelRaster, units: frozenset[str]) -> Iterator[LabelRaster]:
    """Copy a raster of labels into memory, compressed, without the areas that are not among these units.

    Raises:
        UserError: No area is.
    """
    from rasterio.io import MemoryFile

    raster = labels.raster
    areas = Areas(raster.width)
    for _, numbers in labels.strips():
        areas.add(numbers)
    firsts = areas.firsts()
    kept = np.isin(area_names(firsts, raster.width), list(units))
    _require_units(labels.file, "areas", int(kept.sum()), units)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "compress": "deflate", "tiled": True}
    place: dict[str, Any] = {key: getattr(raster, key) for key in ("width", "height", "crs", "transform")}
    with MemoryFile() as memory:
        with memory.open(**profile, **place) as copy:
            from rasterio.windows import Window

            again = Areas(raster.width)
            for start, numbers in labels.strips():
                part = again.add(numbers)
                copy.write(numbers * kept[part], 1, window=Window(0, start, raster.width, len(numbers)))
        with memory.open() as copy:
            yield LabelRaster(copy, labels.file, 1)


def training_labels(map_file: Path) -> tuple[LabelFile, ...]:
    """Label files that the network of a map was trained on, from `map.json` in its folder; empty if unknown."""
    file = map_file.parent / "map.json"
    if not file.is_file():
        return ()
    try:
        about = read_json(file, "make the map again")
        if not isinstance(about, dict) or map_file.name not in about.get("files", ()):
            return ()
        return from_json(about.get("training", {}).get("label_files", []), str(file))
    except (UserError, TypeError, AttributeError):  # another program's map.json
        return ()
