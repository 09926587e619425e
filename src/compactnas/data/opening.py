"""Open the data set that a config names, and split it into parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compactnas.config import DataConfig
from compactnas.data.formats import FORMATS, format_of, require_own_options
from compactnas.data.source import Groups, Parts, Source, in_memory
from compactnas.data.splits import divide


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
