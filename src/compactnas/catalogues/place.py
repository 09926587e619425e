"""Find the area that a user names: a bounding box, a file of polygons, or the domain of a weather model (WRF)."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from compactnas.errors import UserError
from compactnas.labels.finding import is_vector
from compactnas.labels.reading import read_features
from compactnas.scenes.kinds import POLYGONS
from compactnas.scenes.wrf import read_edges

NUMBER = r"\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*"
BOX = re.compile(",".join([NUMBER] * 4))
ORDER = "the order is LEFT,BOTTOM,RIGHT,TOP in degrees"
UTM_NORTH, UTM_SOUTH = 84.0, -80.0


class Area(NamedTuple):
    """A place.

    Attributes:
        bounds: Left, bottom, right and top in degrees.
        text: How the user has named the place, for messages.
    """

    bounds: tuple[float, float, float, float]
    text: str

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle."""
        left, bottom, right, top = self.bounds
        return (left + right) / 2, (bottom + top) / 2

    @property
    def where(self) -> str:
        """Description of the middle: `52.52 N, 13.40 E`."""
        longitude, latitude = self.centre
        north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
        return f"{abs(latitude):.2f} {north}, {abs(longitude):.2f} {east}"


def is_box(text: str) -> bool:
    """Check whether a text is four numbers."""
    return BOX.fullmatch(text) is not None


def area_of(text: str) -> Area:
    """Find the area that a text names.

    Raises:
        UserError: The text is no usable place; the message says what is wrong with it.
    """
    box = BOX.fullmatch(text)
    if box:
        return _checked(tuple(map(float, box.groups())), text.strip(), box=True)
    path = Path(text)
    if not path.is_file():
        if re.fullmatch(r"[-+\d.,;\s]+", text):
            raise UserError(f"{text.strip()!r} is no bounding box: give four numbers with commas; {ORDER}")
        raise UserError(
            f"{text}: there is no such file; give a bounding box (LEFT,BOTTOM,RIGHT,TOP in degrees), a file of "
            "polygons or a WRF domain (geo_em.*.nc)"
        )
    suffix = path.suffix.lower()
    if suffix in (".nc", ".nc4"):
        return _checked(read_edges(path), text, box=False)
    if is_vector(path):
        return _checked(_polygon_bounds(path), text, box=False)
    raise UserError(f"{path}: is no place; give a file of polygons ({', '.join(POLYGONS)}) or a WRF domain")


def _checked(bounds: Any, text: str, *, box: bool) -> Area:
    """Check bounds in degrees."""
    left, bottom, right, top = (float(value) for value in bounds)
    where = f"PLACE {text}" if box else text
    shown = f"{left:g},{bottom:g},{right:g},{top:g}"
    if not all(math.isfinite(value) for value in (left, bottom, right, top)):
        raise UserError(f"{where}: has no bounds; give a file with at least one polygon")
    if max(abs(left), abs(right)) > 180 or max(abs(bottom), abs(top)) > 90:
        raise UserError(f"{where}: {shown} lies outside the degrees of the Earth; {ORDER}")
    if left > right or bottom > top:
        what = "LEFT is not below RIGHT" if left > right else "BOTTOM is not below TOP"
        better = f"{min(left, right):g},{min(bottom, top):g},{max(left, right):g},{max(bottom, top):g}"
        note = "; an area across the date line needs two scenes" if left > right and left - right > 180 else ""
        raise UserError(f"{where}: {what}; {ORDER}: did you mean {better}?{note}")
    if left == right or bottom == top:
        raise UserError(f"{where}: {shown} has no area; {ORDER}")
    if top > UTM_NORTH or bottom < UTM_SOUTH:
        raise UserError(
            f"{where}: reaches beyond {UTM_NORTH:g} N or {-UTM_SOUTH:g} S, where UTM ends; give another place"
        )
    return Area((left, bottom, right, top), text)


def _polygon_bounds(path: Path) -> tuple[float, float, float, float]:
    """Read the bounds of all polygons of a file, in degrees."""
    features = read_features(path)
    import shapely
    from rasterio.crs import CRS
    from rasterio.errors import RasterioError
    from rasterio.warp import transform_bounds

    shapes = shapely.from_wkb([one for one in features.geometries if one is not None], on_invalid="ignore")
    areas = shapes[(shapely.get_dimensions(shapes) == 2) & ~shapely.is_empty(shapes)]
    if not len(areas):
        raise UserError(f"{path}: has no polygon; draw one around the place")
    try:
        crs = CRS.from_user_input(features.crs)
        left, bottom, right, top = transform_bounds(crs, "EPSG:4326", *map(float, shapely.total_bounds(areas)))
    except (RasterioError, ValueError) as error:
        raise UserError(f"{path}: its coordinate system is unusable ({error}); export it in degrees") from error
    return left, bottom, right, top
