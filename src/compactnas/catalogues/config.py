"""Options of a scene from a catalogue."""

from __future__ import annotations

import calendar
import math
import re
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Literal

from compactnas.config.reading import CLOUD_CLASSES, cloud_numbers
from compactnas.errors import UserError

Composite = Literal["median", "mean"]
DAY = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
EXAMPLE = "write --dates 2024-05-01/2024-09-30"


@dataclass(frozen=True)
class SceneConfig:
    """Options of a scene from a catalogue.

    Attributes:
        dates: First and last day, 2024-05-01/2024-09-30; also months (2024-05/2024-09), one day, month or year.
        catalogue: Catalogue to search: earth-search, planetary-computer, copernicus, or the URL of any STAC API.
        collection: Collection of the catalogue; Sentinel-2 L2A by default.
        bands: Bands of the scene in order, B02,B03,...; by default all that the sensor's networks use.
        max_cloud: Largest cloud cover of an item in percent.
        max_dates: Largest number of days in the composite; the days with the least clouds are taken.
        pixel_m: Side of the pixels in metres; by default the sensor's, 10 for Sentinel-2 and 30 for Landsat and HLS.
        composite: Value of a pixel from its clear observations.
        cloud_classes: Masked classes of Sentinel-2's scene classification (SCL); `-` masks no clouds, of any sensor.
        without: Items to leave out, by id: A,B.
    """

    dates: str = ""
    catalogue: str = "earth-search"
    collection: str = ""
    bands: str = ""
    max_cloud: float = 60.0
    max_dates: int = 24
    pixel_m: float | None = None
    composite: Composite = "median"
    cloud_classes: str = CLOUD_CLASSES
    without: str = ""

    def __post_init__(self) -> None:
        first, last = self.days
        if first > last:
            raise UserError(f"--dates: {self.dates} ends before it begins; write {last}/{first}")
        if not 0 < self.max_cloud <= 100:
            raise UserError(f"--max-cloud: {self.max_cloud:g} is not a percentage; give more than 0, at most 100")
        if not 1 <= self.max_dates <= 366:
            raise UserError(f"--max-dates: {self.max_dates} is not between 1 and 366")
        if self.pixel_m is not None and not (math.isfinite(self.pixel_m) and self.pixel_m >= 1):
            raise UserError(f"--pixel-m: {self.pixel_m:g} is less than 1 m; Sentinel-2 has pixels of 10 m")
        _ = self.clouds
        if not all(self.band_names):
            raise UserError(f"--bands: {self.bands!r} has an empty name; write B02,B03,B04")

    @property
    def days(self) -> tuple[date, date]:
        """First and last day.

        Raises:
            UserError: The dates cannot be read.
        """
        if not self.dates:
            raise UserError(f"no season for the scene; {EXAMPLE}")
        first, slash, last = self.dates.partition("/")
        return _day(first, end=False), _day(last if slash else first, end=True)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of `bands`."""
        return tuple(name.strip() for name in self.bands.split(",")) if self.bands else ()

    @cached_property
    def left_out(self) -> frozenset[str]:
        """Ids of `without`."""
        return frozenset(name.strip() for name in self.without.split(",")) - {""}

    @property
    def clouds(self) -> tuple[int, ...] | None:
        """Numbers of `cloud_classes`; None if clouds are kept."""
        return cloud_numbers(self.cloud_classes, "--cloud-classes") or None


def _day(text: str, *, end: bool) -> date:
    """Read a day; of a month or a year, return the first day or the last one."""
    match = DAY.fullmatch(text.strip())
    if match is None:
        raise UserError(f"--dates: {text.strip()[:40]!r} is no date; {EXAMPLE}")
    try:
        year, month = int(match[1]), int(match[2] or (12 if end else 1))
        return date(year, month, int(match[3] or (calendar.monthrange(year, month)[1] if end else 1)))
    except ValueError as error:  # IllegalMonthError of calendar is one, too
        raise UserError(f"--dates: {text.strip()!r} is not in the calendar ({error}); {EXAMPLE}") from None
