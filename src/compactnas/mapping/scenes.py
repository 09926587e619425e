"""Map a scene from Python, and return the map as an array with coordinates."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any, get_args

from compactnas.config.engine import EngineName
from compactnas.config.reading import Reading
from compactnas.data.source import Progress
from compactnas.errors import UserError, suggestion
from compactnas.io.paths import each_path
from compactnas.mapping.config import MapConfig, Outputs, config_of
from compactnas.mapping.job import MapJob, Warn
from compactnas.mapping.mapping import make_map

PARTS = (Reading, MapConfig, Outputs)
"""Configs whose fields are options of a map."""


def map_scene(
    model: str | Path,
    scene: str | Path | Sequence[str | Path],
    folder: str | Path | None = None,
    *,
    engine: EngineName = "auto",
    threads: int = 0,
    progress: Progress | None = None,
    warn: Warn | None = None,
    **options: Any,
) -> Any:
    """Map a scene with a network, as `compactnas map` does.

    Args:
        model: Folder of a run, an export or an adopted network.
        scene: GeoTIFF, VRT, netCDF, Zarr or product; or several seasons of one place, which vote.
        folder: Folder of the map, which may hold an unfinished map with the same options; None makes a temporary one.
        engine: Software that runs the network.
        threads: Number of threads; 0 takes all cores.
        progress: Function that receives the number of finished cells and the number of all cells.
        warn: Function that receives warnings about assumptions; by default `warnings.warn`.
        options: Other options of the command by their names, such as `stride_px=20`, `scale=1e-4` or `lonlat=True`.

    Returns:
        Class numbers from 1, 0 where there is none, as an `xarray.DataArray` with coordinates; its attribute
        `classes` names them. Without xarray and rioxarray: the path of the GeoTIFF, which needs `folder`.

    Raises:
        UserError: An option is unknown, or the map cannot be made.
    """
    arrays = bool(find_spec("xarray") and find_spec("rioxarray"))
    if folder is None and not arrays:
        raise UserError("folder: is not given; name a folder for the map, or run: pip install 'compactnas[map]'")
    if engine not in get_args(EngineName):
        raise UserError(f"engine: {engine!r} is unknown; {suggestion(str(engine), get_args(EngineName))}")
    reading, config, outputs = (_config(kind, options) for kind in PARTS)
    scenes = tuple(each_path(scene))
    job = MapJob(Path(model), engine, threads, scenes, reading.for_scenes(len(scenes)), config)
    with tempfile.TemporaryDirectory(prefix="compactnas-map-") as temporary:
        out = Path(temporary) / "map" if folder is None else Path(folder)
        about = make_map(job, out, outputs, progress or _ignored, warn or _warned)
        file = out / about["files"][0]
        return _array(file, about) if arrays else file


def _config(kind: Any, options: dict[str, Any]) -> Any:
    """Make a config from its values among the options.

    Raises:
        UserError: An option belongs to no config.
    """
    known = [name for part in PARTS for name in signature(part).parameters if name != "caller"]
    for name in options:
        if name not in known:
            raise UserError(f"{name[:80]}: unknown option of a map; {suggestion(name, known)}")
    return config_of(kind, options)


def _array(file: Path, about: dict[str, Any]) -> Any:
    import rioxarray
    import xarray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # rioxarray's own, about affine transforms
        opened = rioxarray.open_rasterio(file)
        assert isinstance(opened, xarray.DataArray)
        found = opened.load().squeeze("band", drop=True)
    found.name = file.stem
    found.attrs["classes"] = {entry["number"]: entry["name"] for entry in about["classes"]}
    return found


def _ignored(done: int, total: int) -> None:
    """Ignore the progress."""


def _warned(text: str) -> None:
    warnings.warn(text, stacklevel=4)
