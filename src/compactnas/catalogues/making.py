"""Make a scene of a place and a season from a catalogue, block by block, in little memory; it can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16

from compactnas.catalogues.composite import composed
from compactnas.catalogues.config import SceneConfig
from compactnas.catalogues.files import RemoteFiles
from compactnas.catalogues.grid import Grid, grid_of
from compactnas.catalogues.http import fetch, loopback_without_proxy, new_session, quiet_libraries
from compactnas.catalogues.items import CLOUDS, Observation, choose
from compactnas.catalogues.place import Area
from compactnas.catalogues.presets import Catalogue, catalogue_of
from compactnas.catalogues.reading import CLEAR, Loader
from compactnas.catalogues.searching import search
from compactnas.catalogues.sensors import Sensor, sensor_of
from compactnas.catalogues.signing import Signer
from compactnas.catalogues.store import SceneStore
from compactnas.catalogues.writing import write_scene
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.io.extras import require_extra
from compactnas.io.sole_writer import require_own
from compactnas.scenes.scene import Window
from compactnas.version import __version__

FORMAT = "compactnas-scene/1"
LYING = 0.2
"""Share of negative reflectance in an item from which its offset is doubted."""
EXISTS = "{}: exists already; remove it, or name another file with --output"
NEEDED = ("rasterio", "pystac_client", "odc.stac")
Progress = Callable[[int, int], None]
Warn = Callable[[str], None]


def make_scene(
    area: Area, config: SceneConfig, out: Path, progress: Progress, warn: Warn, threads: int = 4
) -> dict[str, Any]:
    """Make a scene, or resume one that was stopped; return the contents of its JSON file.

    Args:
        area: Place.
        config: Options.
        out: GeoTIFF to create; unfinished work is kept in `NAME.tif.part`.
        progress: Function that receives the number of finished layers (a band of a block) and of all layers.
        warn: Function that receives assumptions and likely mistakes.
        threads: Number of files to read at the same time.

    Raises:
        UserError: The file exists, the catalogue has no usable item, an item or a file cannot be read, or the folder
            with unfinished work is that of another scene.
    """
    require_extra("scene", "a scene from a catalogue needs more packages", *NEEDED)
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise UserError(f"--output: {out} is no GeoTIFF; name a file that ends with .tif")
    work = out.with_name(f"{out.name}.part")
    if out.exists() and not work.exists():
        raise UserError(EXISTS.format(out))
    catalogue = catalogue_of(config.catalogue)
    sensor = sensor_of(config.collection or catalogue.collection)
    bands = _bands(config, sensor)
    with loopback_without_proxy(), quiet_libraries():
        store = SceneStore(work, len(bands))
        with store.locked():
            if out.exists():
                # A process was killed when it had finished the scene, or another process has finished one meanwhile.
                store.remove()
                return _same_scene(out, area, config)
            store.claim(_claimed(area, config))
            observations, notes = _found(store, area, config, catalogue, sensor, bands)
            _require_keys(observations, catalogue)
            grid = _grid(observations, area, config.pixel_m or sensor.pixel_m, len(bands))
            notes += _zones(observations, grid)
            for note in notes:
                warn(note)
            signer = Signer(catalogue.tokens, lambda url: fetch(new_session(), url))
            files = RemoteFiles(grid, signer, catalogue.gdal)
            loader = Loader(observations, grid, sensor, config.clouds or (), files, threads)
            blocks = grid.blocks(len({one.day for one in observations}))
            _fill(store, loader, blocks, bands, config, progress)
            for note in _doubts(loader, observations):
                warn(note)
            notes += _require_pixels(store, blocks, grid, len({one.day for one in observations}), warn)
            about = _about(area, config, catalogue, sensor, bands, grid, observations, notes)
            whole = write_scene(store, grid, blocks, bands, f"compactnas, {config.composite} of {catalogue.url}")
            write_json(out.with_suffix(".json"), about)
            require_own(whole)
            whole.replace(out)
            store.remove()
    return about


def _bands(config: SceneConfig, sensor: Sensor) -> tuple[str, ...]:
    """Names of the bands in the sensor's form."""
    bands = tuple(map(sensor.canonical, config.band_names)) or sensor.bands
    twice = next((band for band in bands if bands.count(band) > 1), None)
    if twice:
        raise UserError(f"--bands: names {twice} twice; name each band once")
    return bands


def _same_scene(out: Path, area: Area, config: SceneConfig) -> dict[str, Any]:
    """Read the JSON file of a scene with the same place and options; raise a `UserError` for another one."""
    file = out.with_suffix(".json")
    about = read_json(file, f"remove {out} to make the scene again") if file.exists() else None
    place = {"text": Path(area.text).name, "bounds": list(area.bounds)}
    same = json.loads(json.dumps({"place": place, "options": asdict(config)}))
    if not isinstance(about, dict) or {name: about.get(name) for name in same} != same:
        raise UserError(EXISTS.format(out))
    return about


def _claimed(area: Area, config: SceneConfig) -> dict[str, Any]:
    """Everything that can change a scene."""
    return {"format": FORMAT, "version": __version__, "place": list(area.bounds), **asdict(config)}


def _found(
    store: SceneStore, area: Area, config: SceneConfig, catalogue: Catalogue, sensor: Sensor, bands: Sequence[str]
) -> tuple[list[Observation], list[str]]:
    """Load the observations of an interrupted scene, or search for them."""
    before = store.load_found()
    if before is not None:
        return before
    collection = config.collection or catalogue.collection
    first, last = config.days
    items = search(catalogue, collection, area, f"{first}/{last}")
    other = f" (or --collection {catalogue.other})" if catalogue.other and not config.collection else ""
    found = choose(items, area, config, sensor, bands, f"{catalogue.name}, {collection}{other}")
    store.save_found(found.observations, found.notes)
    return found.observations, list(found.notes)


def _require_keys(observations: Sequence[Observation], catalogue: Catalogue) -> None:
    """Check that the keys to files on S3 are there, before the first file is tried."""
    on_s3 = any(asset.href.startswith("s3:") for one in observations for asset in one.assets.values())
    needed = catalogue.keys or ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    if not on_s3 or all(os.environ.get(key) for key in needed):
        return
    if not catalogue.keys and (os.environ.get("AWS_PROFILE") or os.environ.get("AWS_NO_SIGN_REQUEST")):
        return
    where = f"; get them at {catalogue.keys_from}" if catalogue.keys_from else ""
    raise UserError(f"{catalogue.name}: its files are on S3 and need keys in {' and '.join(needed)}{where}")


def _grid(observations: Sequence[Observation], area: Area, pixel_m: float, bands: int) -> Grid:
    grid = grid_of(area, pixel_m, bands)
    corner = next((one.corner for one in observations if one.corner and one.epsg == grid.epsg), None)
    return grid_of(area, pixel_m, bands, corner) if corner else grid


def _zones(observations: Sequence[Observation], grid: Grid) -> list[str]:
    others = sum(one.epsg is not None and one.epsg != grid.epsg for one in observations)
    if not others:
        return []
    return [
        f"{others} of {len(observations)} items lie in another coordinate system than EPSG:{grid.epsg} and are warped "
        "by nearest neighbour"
    ]


def _fill(
    store: SceneStore, loader: Loader, blocks: Sequence[Window], bands: Sequence[str], config: SceneConfig, at: Progress
) -> None:
    """Make the blocks that are missing.

    Raises:
        UserError: A file cannot be read.
    """
    missing = store.missing(blocks)
    done, total = (len(blocks) - len(missing)) * len(bands), len(blocks) * len(bands)
    at(done, total)
    for number in missing:
        window = blocks[number]
        block = np.zeros((len(bands), window.height, window.width), np.uint16)
        try:
            for place, numbers in enumerate(_layers(loader, window, bands, config)):
                block[place] = numbers
                at(done + place + 1, total)
        except UserError as error:
            kept = f"{done // len(bands)} of {len(blocks)} blocks are kept in {store.folder}"
            raise UserError(f"{error}; {kept}: give the same command again to go on") from error
        store.put(number, block)
        done += len(bands)
        at(done, total)


def _layers(
    loader: Loader, window: Window, bands: Sequence[str], config: SceneConfig
) -> Iterator[UInt16[np.ndarray, "rows columns"]]:
    """Make each band of a block; days without a clear pixel are not read."""
    days = loader.days
    if config.clouds is None:
        clear = np.ones((len(days), window.height, window.width), np.bool_)
    else:
        clear = loader.load(CLOUDS, window, days) == CLEAR
        usable = clear.any(axis=(1, 2))
        days, clear = [day for day, some in zip(days, usable, strict=True) if some], clear[usable]
    for band in bands if days else ():
        yield composed(loader.load(band, window, days), clear, config.composite)


def _doubts(loader: Loader, observations: Sequence[Observation]) -> list[str]:
    """Warn of items whose offset seems to be removed twice: known catalogues have such items."""
    named = [
        one.id
        for one in observations
        if any(asset.offset < 0 for asset in one.assets.values())
        and loader.negative[one.id] > LYING * max(1, loader.seen[one.id])
    ]
    if not named:
        return []
    return [
        f"{len(named)} items have negative reflectance in more than {100 * LYING:.0f} % of their pixels ({named[0]}): "
        "the catalogue may have removed the offset already and not say so; leave them out with --without, or use "
        "another --collection"
    ]


def _require_pixels(store: SceneStore, blocks: Sequence[Window], grid: Grid, days: int, warn: Warn) -> list[str]:
    """Count the pixels without a clear observation.

    Raises:
        UserError: There is no other pixel.
    """
    empty = sum(int((store.get(number, window) == 0).any(axis=0).sum()) for number, window in enumerate(blocks))
    share = empty / (grid.height * grid.width)
    if share == 1:
        store.remove()
        raise UserError(
            f"no pixel has a clear observation on any of {days} days; raise --max-cloud, or give a longer season with "
            "--dates"
        )
    if not share:
        return []
    note = f"{100 * share:.2g} % of the pixels have no clear observation on any of {days} days: no data"
    warn(f"{note}; raise --max-cloud or --max-dates, or give a longer season with --dates")
    return [note]


def _about(
    area: Area,
    config: SceneConfig,
    catalogue: Catalogue,
    sensor: Sensor,
    bands: Sequence[str],
    grid: Grid,
    observations: Sequence[Observation],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Describe a scene: its origin and what was done to the numbers."""
    return {
        "format": FORMAT,
        "compactnas": __version__,
        "catalogue": catalogue.url,
        "collection": config.collection or catalogue.collection,
        "sensor": sensor.name,
        "place": {"text": Path(area.text).name, "bounds": list(area.bounds)},
        "options": asdict(config),
        "crs": f"EPSG:{grid.epsg}",
        "transform": list(grid.transform)[:6],
        "size": [grid.width, grid.height],
        "bands": list(bands),
        "numbers": "reflectance x 10000; 0 is no data",
        "days": sorted({one.day for one in observations}),
        "items": [_item(one, bands) for one in observations],
        "notes": list(notes),
    }


def _item(one: Observation, bands: Sequence[str]) -> dict[str, Any]:
    scalings = {(one.assets[band].scale, one.assets[band].offset) for band in bands}
    return {
        "id": one.id,
        "datetime": one.moment,
        "day": one.day,
        "cloud_cover": one.cloud_cover,
        "scale_and_offset": [list(scaling) for scaling in sorted(scalings)],
        "offset_source": one.offset_source,
    }
