"""Describe a run's data as plain values: patches, split, parts, and the config without options of other formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from compactnas import lcz
from compactnas.data.formats import FORMATS
from compactnas.reporting.run.reading import RunFolder

SHOWN_NAMES = 20
"""Most bands to name."""


@dataclass(frozen=True)
class PartRow:
    """A part in the table of parts: sizes as text, empty if unknown; the largest class, and its share in per cent."""

    part: str
    patches: str
    groups: str
    largest: str
    share: float


def data_facts(run: RunFolder) -> tuple[tuple[str, str], ...]:
    """List what is known about the data of a run as (name, value)."""
    config, found = _data_config(run), []
    name = run.data.name if run.data else str(config.get("path") or "")
    if name:
        found.append(("source", name + f", read as {_format(run)}" * bool(_format(run))))
    if run.task:
        bands = ", ".join(run.task.bands[:SHOWN_NAMES]) + ", ..." * (len(run.task.bands) > SHOWN_NAMES)
        found += [("window of a patch", patch_words(run.task.patch_px, run.task.pixel_m))]
        found += [(f"{len(run.task.bands)} bands", bands)]
        kind = "Local Climate Zones" if run.task.lcz else "classes"
        found += [("classes", f"{len(run.task.classes)} {kind}{_present(run)}")]
    if split := split_words(config):
        found.append(("split", split))
    for part, words in (("train", "trained on"), ("test", "tested on")):
        if run.data and (here := run.data.parts.get(part)):
            groups = "" if here.groups is None else f" in {here.groups:,} {run.data.unit}{'s' * (here.groups != 1)}"
            found.append((words, f"{here.patches:,} patches{groups}"))
    return tuple(found)


def _present(run: RunFolder) -> str:
    """Number of classes that occur in the data, if some are missing."""
    if run.data is None or run.task is None:
        return ""
    present = sum(any(counts) for counts in zip(*(part.classes for part in run.data.parts.values()), strict=False))
    return f", {present} of them in the data" if present < len(run.task.classes) else ""


def patch_words(patch_px: int, pixel_m: float | None) -> str:
    """Describe the size of a patch in pixels and, if the pixel size is known, in metres."""
    size = f"{patch_px} x {patch_px} pixels"
    if pixel_m is None:
        return f"{size}, pixel size unknown"
    side = patch_px * pixel_m
    return f"{size} of {pixel_m:g} m ({side:g} x {side:g} m)"


def split_words(config: Mapping[str, Any]) -> str:
    """Describe a split with the options that matter to it; empty if the config has none."""
    split = config.get("split")
    if not isinstance(split, str):
        return ""
    share, seed = _per_cent(config.get("test_fraction")), f"seed {config.get('split_seed', 0)}"
    named = config.get("test_groups")
    if split == "group" and isinstance(named, list) and named:
        options = [f"test groups {', '.join(map(str, named[:SHOWN_NAMES]))}" + ", ..." * (len(named) > SHOWN_NAMES)]
    elif split == "fold":
        folds = config.get("folds")
        options = [f"fold {config.get('fold')} of {folds}" if folds else f"group {config.get('fold')} alone", seed]
    elif split == "csv":
        options = [str(config.get("split_csv"))]
    else:
        options = {
            "group": [f"{share} of the patches in whole groups", seed],
            "block": [f"{share} of the patches in squares of {_number(config.get('block_m'))} m", seed],
            "random": [f"{share} of the patches", seed],
            "d2": [f"{share} of the official training part", seed],
            "official": ["the parts of the source"],
            "d1": ["the parts of the source"],
        }.get(split, [])
    if config.get("validation_fraction"):
        options.append(f"validation {_per_cent(config.get('validation_fraction'))} of the training part")
    return f"{split}: {', '.join(options)}" if options else split


def part_rows(run: RunFolder) -> tuple[PartRow, ...]:
    """Make a row for each part: from the summary of the data, or for older runs from the evaluation alone."""
    classes = run.task.classes if run.task else run.evaluation.classes if run.evaluation else ()
    counts = [(part, found.classes, found.groups) for part, found in run.data.parts.items()] if run.data else []
    if not counts and (e := run.evaluation):
        groups = None if e.groups is None else len(e.groups.names)
        counts = [(e.part, tuple(e.confusion.sum(axis=1).tolist()), groups)]
    rows = []
    for part, patches, groups in counts:
        if len(patches) != len(classes) or not sum(patches):
            continue
        largest = max(range(len(patches)), key=patches.__getitem__)
        named = class_name(classes[largest], tuple(classes))
        known = "" if groups is None else f"{groups:,}"
        rows.append(PartRow(part, f"{sum(patches):,}", known, named, 100 * patches[largest] / sum(patches)))
    return tuple(rows)


def unit_of(run: RunFolder) -> str:
    """Name of the groups of the run, in the plural; empty if the groups are unknown."""
    if run.data and any(part.groups is not None for part in run.data.parts.values()):
        return f"{run.data.unit}s"
    return f"{run.evaluation.groups.unit}s" if run.evaluation and run.evaluation.groups else ""


def class_name(name: str, classes: tuple[str, ...]) -> str:
    """Name a class; if the classes are the 17 Local Climate Zones, with its label."""
    if classes != lcz.NAMES:
        return name
    return f"LCZ {lcz.CLASSES[lcz.NAMES.index(name)].label}, {name}"


def shown_config(run: RunFolder) -> tuple[str, tuple[str, ...]]:
    """Return the text of the config without options of other data formats, and the names of those options."""
    own, data = _format(run), run.config.get("data")
    if own not in FORMATS or not isinstance(data, dict):
        return run.config_text, ()
    foreign = {option for name, known in FORMATS.items() if name != own for option in known.options}
    hidden = tuple(option for option in data if option in foreign - set(FORMATS[own].options))
    kept = {option: value for option, value in data.items() if option not in hidden}
    values = {name: kept if name == "data" else value for name, value in run.config.items()}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000), hidden


def _data_config(run: RunFolder) -> dict[str, Any]:
    config = run.config.get("data")
    return config if isinstance(config, dict) else {}


def _format(run: RunFolder) -> str:
    """Name of the data format: that of the summary, or of the config if it names one."""
    named = run.data.format if run.data else str(_data_config(run).get("format") or "")
    return "" if named == "auto" else named


def _per_cent(value: Any) -> str:
    return f"{100 * value:g} %" if isinstance(value, int | float) else "?"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "?"
