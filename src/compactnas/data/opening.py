"""From a config to a source and its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from compactnas.config import DataConfig
from compactnas.data.formats.folder import open_folder
from compactnas.data.formats.npz import open_npz
from compactnas.data.formats.packed import is_packed, open_packed
from compactnas.data.formats.scenes import is_scenes, open_scenes
from compactnas.data.formats.so2sat import open_so2sat
from compactnas.data.source import Source, in_memory
from compactnas.data.splits import Parts, make_parts
from compactnas.errors import UserError


@dataclass(frozen=True)
class Dataset:
    """A source and how it is cut.

    Attributes:
        source: the patches.
        parts: rows of `train`, `validation` (may be empty) and `test`.
        warnings: what a reader of the results must know, a line each.
    """

    source: Source
    parts: Parts
    warnings: tuple[str, ...] = ()


def open_source(config: DataConfig) -> Source:
    """Open the patches that a config names, in memory if they fit `preload_gib`.

    Errors:
        UserError: there is nothing at the path, or not what its format asks for.
    """
    path = Path(config.path)
    kind = _kind(config) if config.format == "auto" else config.format
    if config.sensor != "sen2" and kind != "so2sat":
        raise UserError(f"data.sensor: {config.sensor} is for So2Sat files; {path} is read as {kind}")
    if config.labels and kind != "scene":
        raise UserError(f"data.labels: {config.labels} is for scenes; {path} is read as {kind}")
    if kind == "npz":
        return open_npz(path, config.bands, config.downsample, config.preload_gib)
    source: Source
    if kind == "scene":
        source = open_scenes(path, config.bands, config.downsample, config.labels, config.window_px, config.stride_px)
    elif kind == "so2sat":
        source = open_so2sat(path, config.sensor, config.bands, config.downsample)
    else:
        source = {"packed": open_packed, "folder": open_folder}[kind](path, config.bands, config.downsample)
    return in_memory(source, config.preload_gib)


def open_streamed(config: DataConfig) -> Source:
    """The same, in memory only where its format leaves no choice: for who reads each patch once."""
    return open_source(config if config.path.endswith(".npz") else replace(config, preload_gib=0.0))


def open_dataset(config: DataConfig) -> Dataset:
    """Open the patches and cut them into parts, as the config says."""
    source = open_source(config)
    parts, warnings = make_parts(source.facts, config)
    return Dataset(source, parts, warnings)


def _kind(config: DataConfig) -> str:
    path = Path(config.path)
    if not config.path:
        raise UserError("data.path: is not set; give a So2Sat file or folder, an .npz file or a folder of images")
    if not path.exists():
        raise UserError(f"data.path: there is nothing at {path}; check the spelling")
    if path.is_dir() and is_packed(path):
        return "packed"
    if is_scenes(path):
        return "scene"
    if path.is_dir():
        return "so2sat" if any(path.glob("*.h5")) or any(path.glob("*/training.h5")) else "folder"
    return "npz" if path.suffix == ".npz" else "so2sat"
