"""Open the data set that a config names, and split it into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from compactnas.config import DataConfig
from compactnas.data.arrays import array_source, checked_images
from compactnas.data.formats import FORMATS, format_of, require_own_options
from compactnas.data.source import Groups, Parts, Source, in_memory
from compactnas.data.splits import divide, training_parts


@dataclass(frozen=True)
class Dataset:
    """A source and its parts.

    Attributes:
        source: Source of the patches.
        parts: Rows of `train`, `validation` (may be empty) and `test`.
        warnings: Warnings to show with every result on this data, one line each.
        groups: Group of each patch (polygon, city, or square of the split `block`), (patches,); None if unknown.
        unit: What a group is, in the singular: `group` or `block`.
        format: Name of the data format; empty if the patches were not opened by a config.
    """

    source: Source
    parts: Parts
    warnings: tuple[str, ...] = ()
    groups: Groups | None = None
    unit: str = "group"
    format: str = ""

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        groups: Any = None,
        *,
        classes: Sequence[str] = (),
        bands: Sequence[str] = (),
        name: str = "arrays",
        validation_fraction: float = 0.0,
    ) -> Dataset:
        """Make a training part, and perhaps a validation part, of patches in memory; the images are not copied.

        Args:
            images: Patches, (patches, bands, rows, columns): NumPy array or torch tensor.
            labels: Class of each patch, whole numbers from 0.
            groups: Group of each patch (city, polygon), or None.
            classes: Names of the classes; by default 0, 1, 2, ...
            bands: Names of the bands; by default R, G, B for three bands, else band1, band2, ...
            name: Name for tables.
            validation_fraction: Share of the validation part: whole groups, if groups are known.

        Raises:
            UserError: An argument has a wrong shape, a value is out of range, or groups cannot be cut into parts.
        """
        source = array_source(checked_images(images), labels, groups, classes=classes, bands=bands, name=name)
        return cls.of_training(source, validation_fraction)

    @classmethod
    def of_training(cls, source: Source, validation_fraction: float) -> Dataset:
        """Split a source into a training part and, with a share above 0, a validation part of whole groups.

        Raises:
            UserError: The groups cannot be cut into parts.
        """
        parts = training_parts(source.facts, DataConfig(validation_fraction=validation_fraction))
        return cls(source, parts, (), source.facts.groups)


def open_source(config: DataConfig) -> Source:
    """Open the patches that a config names, in memory if they fit into `preload_gib`.

    Raises:
        UserError: The path is missing, its content does not fit the format, or an option belongs to another format.
    """
    name = format_of(config)
    require_own_options(config, name)
    chosen = FORMATS[name]
    source = chosen.open(config)
    return in_memory(source, config.preload_gib) if chosen.streams else source


def open_streamed(config: DataConfig) -> Source:
    """Open the patches without loading them into memory, if the format allows it; for a single pass."""
    return open_source(replace(config, preload_gib=0.0) if FORMATS[format_of(config)].streams else config)


def open_dataset(config: DataConfig) -> Dataset:
    """Open the patches and split them into parts according to the config."""
    source = open_source(config)
    parts, warnings, groups = divide(source.facts, config)
    unit = "block" if config.split == "block" else "group"
    return Dataset(source, parts, (*source.facts.notes, *warnings), groups, unit, format_of(config))
