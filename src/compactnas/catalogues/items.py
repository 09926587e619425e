"""Choose the items of a search: readable, clear enough, with all bands; with the scale and offset of each."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from compactnas.catalogues.config import SceneConfig
from compactnas.catalogues.place import Area
from compactnas.catalogues.scaling import scaling_of
from compactnas.catalogues.sensors import Sensor, band_of
from compactnas.errors import UserError

CLOUDS = "clouds"
"""Name of the asset with the cloud mask."""
MINUTES_PER_DEGREE = 4
"""Solar time moves on by this much per degree of longitude."""
FARTHEST_M = 1e8
"""Largest coordinate of a corner in metres, more than the Earth's circumference."""
LONGEST = 4096
"""Longest address of a file."""


class Asset(NamedTuple):
    """A file of an item, with the scaling of its numbers: reflectance = number x scale + offset."""

    href: str
    scale: float
    offset: float
    nodata: float


@dataclass(frozen=True)
class Observation:
    """An item of a catalogue that is taken.

    Attributes:
        id: Id of the item.
        moment: Time in UTC.
        day: Day in solar time of the place.
        cloud_cover: Cloud cover in percent; None if unknown.
        made: Processing baseline and time, for the order of items of one day: the newest comes first.
        bounds: Left, bottom, right and top in degrees.
        epsg: Coordinate system of the files; None if unknown.
        corner: Any corner of a pixel, if its side is that of the scene; None if unknown.
        offset_source: Source of the offset.
        assets: File of each band, and of the cloud mask (`CLOUDS`).
    """

    id: str
    moment: str
    day: str
    cloud_cover: float | None
    made: str
    bounds: tuple[float, float, float, float]
    epsg: int | None
    corner: tuple[float, float] | None
    offset_source: str
    assets: dict[str, Asset]

    @classmethod
    def load(cls, values: dict[str, Any]) -> Observation:
        """Make an observation of the values of `asdict`, after JSON."""
        assets = {name: Asset(*asset) for name, asset in values["assets"].items()}
        corner = None if values["corner"] is None else tuple(values["corner"])
        return cls(**{**values, "assets": assets, "bounds": tuple(values["bounds"]), "corner": corner})


class Chosen(NamedTuple):
    """Chosen items, and notes on what was left out or assumed."""

    observations: list[Observation]
    notes: list[str]


def choose(
    items: Sequence[Any], area: Area, config: SceneConfig, sensor: Sensor, bands: Sequence[str], where: str
) -> Chosen:
    """Choose items of a search.

    Args:
        items: Items as the catalogue has sent them.
        area: Place.
        config: Options.
        sensor: Sensor of the collection.
        bands: Names of the bands in the sensor's form.
        where: Catalogue and collection, for messages.

    Raises:
        UserError: No item is left, or an item refers to files that may not be opened.
    """
    left: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    found: dict[str, Observation] = {}
    for item in items:
        try:
            reason, observation = _judged(item, area, config, sensor, bands, missing)
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
            if isinstance(error, UserError):
                raise
            reason, observation = "malformed", None
        if observation is None:
            left[reason] += 1
        else:
            found[observation.id] = observation
    if not found:
        raise UserError(_nothing_left(items, left, missing, area, config, where))
    taken, days_left = _clearest_days(list(found.values()), config.max_dates)
    notes = [f"{count} of {len(items)} items left out: {reason}" for reason, count in sorted(left.items())]
    if unknown := sorted(config.left_out - {str(item.get("id")) for item in items if isinstance(item, dict)}):
        notes.append(f"--without: the search found no item {', '.join(unknown)}")
    if days_left:
        notes.append(f"left out {days_left} days with more clouds than the others (--max-dates {config.max_dates})")
    assumed = sum(one.offset_source.startswith("assumed") for one in taken)
    if assumed:
        notes.append(
            f"{assumed} of {len(taken)} items have no processing baseline and declare no offset: taken as without the "
            "offset of baseline 04.00"
        )
    return Chosen(taken, notes)


def _judged(
    item: Any, area: Area, config: SceneConfig, sensor: Sensor, bands: Sequence[str], missing: Counter[str]
) -> tuple[str, Observation | None]:
    """Make an observation of an item, or say why it is left out; counts bands that are missing."""
    properties, name = item["properties"], str(item["id"])
    if name in config.left_out:
        return "named with --without", None
    if sensor.platforms and not re.search(sensor.platforms, str(properties.get("platform", name)), re.IGNORECASE):
        return f"not of {sensor.name}", None
    cover = properties.get("eo:cloud_cover")
    cover = float(cover) if isinstance(cover, int | float) else None
    if cover is not None and cover > config.max_cloud:
        return f"cloud cover above {config.max_cloud:g} %", None
    bounds = _bounds(item)
    if not _touches(bounds, area.bounds):
        return "beside the place", None
    files = _files(item, sensor, masked=config.clouds is not None)
    lacking = [band for band in (*bands, *([CLOUDS] if config.clouds is not None else [])) if band not in files]
    if lacking:
        missing.update(lacking)
        return f"without {' or '.join(lacking)}", None
    assets, sources = {}, []
    for band, asset in files.items():
        if band == CLOUDS:
            assets[band] = Asset(_href(item, asset), 1.0, 0.0, float(sensor.mask_nodata))
        elif band in bands:
            scaling = scaling_of(item, asset, sensor)
            assets[band] = Asset(_href(item, asset), scaling.scale, scaling.offset, scaling.nodata)
            sources.append(scaling.source)
    moment = datetime.fromisoformat(str(properties.get("datetime") or properties["start_datetime"]))
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    solar = moment + timedelta(minutes=MINUTES_PER_DEGREE * area.centre[0])
    made = "|".join(str(properties.get(key, "")) for key in ("s2:processing_baseline", "s2:generation_time", "created"))
    return "", Observation(
        *(name, moment.isoformat(), solar.date().isoformat(), cover, made, bounds, _epsg(item, files)),
        *(_corner(item, files, config.pixel_m or sensor.pixel_m), " and ".join(dict.fromkeys(sources)), assets),
    )


def _files(item: Mapping[str, Any], sensor: Sensor, *, masked: bool) -> dict[str, Mapping[str, Any]]:
    """Find the asset of each band with the smallest pixels, and of the cloud mask."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    assets = item["assets"]
    for key, asset in assets.items():
        if not isinstance(asset, dict):
            continue
        band = CLOUDS if sensor.is_mask(key) else band_of(sensor, key, asset)
        if band and (masked or band != CLOUDS):
            found[band].append((_pixel_m(key, asset), key))
    return {band: assets[min(keys)[1]] for band, keys in found.items()}


def _pixel_m(key: str, asset: Mapping[str, Any]) -> float:
    """Return the side of an asset's pixels as far as it is declared, else 0: a plain name is the finest."""
    raster = asset.get("raster:bands")
    inner = raster[0].get("spatial_resolution") if isinstance(raster, list) and raster else None
    transform = asset.get("proj:transform")
    across = transform[0] if isinstance(transform, list) and transform else None
    suffix = re.search(r"[_-](\d{2})m$", key)
    values = (across, inner, asset.get("gsd"), float(suffix[1]) if suffix else None)
    return next((abs(float(value)) for value in values if isinstance(value, int | float)), 0.0)


def _href(item: Mapping[str, Any], asset: Mapping[str, Any]) -> str:
    """Return the address of a file.

    Raises:
        UserError: It is neither of HTTP nor of S3. A catalogue must not make this program open local files.
    """
    href = str(asset["href"])
    links = item.get("links")
    for link in links if isinstance(links, list) else ():
        if link.get("rel") == "self" and not urlsplit(href).scheme and not href.startswith("/"):
            href = urljoin(str(link.get("href")), href)
            break
    return require_remote(href, str(item["id"]))


def require_remote(href: str, item: str) -> str:
    """Check that an address is of HTTP or S3 and return it.

    Raises:
        UserError: It is not.
    """
    parts = urlsplit(href)
    usable = parts.scheme in ("http", "https", "s3") and parts.netloc and href.isprintable() and " " not in href
    if not usable or len(href) > LONGEST:
        raise UserError(
            f"item {item}: refers to the file {href[:120]!r}, and only addresses of HTTP and S3 are opened; leave it "
            f"out with --without {item}, or use another catalogue"
        )
    return href


def _epsg(item: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> int | None:
    """Return the EPSG code of an item's files; None if it is not declared."""
    for place in (item["properties"], *files.values()):
        code = place.get("proj:epsg") or str(place.get("proj:code", "")).removeprefix("EPSG:")
        if str(code).isdecimal():
            return int(code)
    return None


def _corner(
    item: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]], pixel_m: float
) -> tuple[float, float] | None:
    """Return the corner of a file with pixels of this side; None if no such file is declared."""
    for place in (*files.values(), item["properties"]):
        transform = place.get("proj:transform")
        if isinstance(transform, list) and len(transform) >= 6 and transform[0] == -transform[4] == pixel_m:
            corner = float(transform[2]), float(transform[5])
            if all(abs(value) <= FARTHEST_M for value in corner):  # false for NaN
                return corner
    return None


def _bounds(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return the bounds of an item in degrees; of a footprint across the date line, those of the whole belt."""
    box = item.get("bbox")
    if isinstance(box, list) and len(box) in (4, 6):
        half = len(box) // 2
        left, bottom, right, top = (float(box[place]) for place in (0, 1, half, half + 1))
    else:
        points = list(_points(item["geometry"]["coordinates"]))
        (left, right), (bottom, top) = ((min(side), max(side)) for side in zip(*points, strict=True))
    if left > right or right - left > 180:
        left, right = -180.0, 180.0
    return left, bottom, right, top


def _points(coordinates: Any) -> list[tuple[float, float]]:
    if isinstance(coordinates[0], int | float):
        return [(float(coordinates[0]), float(coordinates[1]))]
    return [point for inner in coordinates for point in _points(inner)]


def _touches(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _clearest_days(found: list[Observation], most: int) -> tuple[list[Observation], int]:
    """Keep the days with the least clouds; return their observations in order, and the number of days left out.

    On a day, observations of newer processing come first: the others fill their gaps.
    """
    covers: dict[str, list[float]] = defaultdict(list)
    for one in found:
        covers[one.day].append(100.0 if one.cloud_cover is None else one.cloud_cover)
    days = sorted(covers, key=lambda day: (sum(covers[day]) / len(covers[day]), day))
    kept = set(days[:most])
    newest = sorted((one for one in found if one.day in kept), key=lambda one: (one.made, one.id), reverse=True)
    return sorted(newest, key=lambda one: one.day), len(days) - len(kept)


def _nothing_left(
    items: Sequence[Any], left: Counter[str], missing: Counter[str], area: Area, config: SceneConfig, where: str
) -> str:
    """Describe why no item is left, and what would help."""
    if not items:
        return (
            f"{where}: has no item around {area.where} from {config.dates}; give a longer season with --dates, another "
            "--collection, or check the place (LEFT,BOTTOM,RIGHT,TOP: longitude comes first)"
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in left.most_common())
    if missing and sum(left.values()) == sum(count for reason, count in left.items() if reason.startswith("without")):
        keys = ", ".join(str(key) for key in list(items[0]["assets"])[:40])
        remedy = "keep clouds with --cloud-classes -" if set(missing) == {CLOUDS} else "name other --bands"
        return f"{where}: no item has {' and '.join(missing)} (the first has {keys}); {remedy}, or another --collection"
    return (
        f"{where}: none of {len(items)} items around {area.where} is usable ({reasons}); raise --max-cloud, or give a "
        "longer season with --dates"
    )
