"""Open scenes and their masks, for training and mapping: files with several bands, and folders with a file for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.config.reading import NONE, Reading
from compactnas.errors import UserError
from compactnas.scenes.bands import EUROSAT_BANDS, PRESETS, band_names, numbered, positions, preset
from compactnas.scenes.cube import opened_cube
from compactnas.scenes.cube_files import is_cube
from compactnas.scenes.files import opened
from compactnas.scenes.finding import find_product
from compactnas.scenes.kinds import KINDS, VRT, is_scene_file
from compactnas.scenes.layers import Bands, LayeredScene, Mask, laid_on
from compactnas.scenes.numbers import scaling_of
from compactnas.scenes.product_scene import SCL, open_product
from compactnas.scenes.scene import Place, require_map
from compactnas.scenes.survey import survey

EUROSAT_NOTE = (
    "13 bands without names, taken in EuroSAT's order (B8A comes last); for the order of ESA's products give {} s2-13"
)


@contextmanager
def open_scene(path: Path, wanted: tuple[str, ...], reading: Reading) -> Iterator[LayeredScene]:
    """Open a scene with the bands of a network, in the network's order.

    Args:
        path: GeoTIFF, VRT, netCDF or Zarr with several bands, folder with a file for each band, or product.
        wanted: Names of the bands; if empty, all bands in the order of the file.
        reading: Options for reading.

    Raises:
        UserError: The file is not a scene, lacks a band, does not name its bands, has no coordinates in metres or other
            pixels than the network takes, or its files lie on different grids.
    """
    with ExitStack() as files:
        mask = _mask(files, reading) if reading.mask else None
        if is_cube(path) or is_scene_file(path):
            scene = _of_raster(files.enter_context(open_raster(path)), path, wanted, reading)
        elif path.is_dir():
            scene = open_product(files, find_product(path, reading), wanted, reading)
        elif path.exists():
            raise UserError(f"{path}: is no scene; give {KINDS}")
        else:
            raise UserError(f"{path}: there is no such file or folder; check the spelling")
        scene = replace(scene, place=replace(scene.place, name=str(path)))
        yield scene if mask is None else _masked(scene, mask)


def open_raster(path: Path) -> AbstractContextManager[Any]:
    """Open a scene in one file or store, by the only reader of its suffix."""
    if is_cube(path):
        return opened_cube(path)
    if path.suffix.lower() == VRT:
        from compactnas.scenes.vrt import opened_vrt  # late, because few scenes are

        return opened_vrt(path)
    return opened(path)


def with_gaps(path: Path, wanted: tuple[str, ...], reading: Reading) -> tuple[Reading, tuple[str, ...]]:
    """Recognise the fills that a scene does not declare, and name them in the options; one pass over the scene.

    Options that name fills, or none, are returned unchanged.

    Returns:
        Options, and a note for each kind of gap.
    """
    if reading.nodata:
        return reading, ()
    with open_scene(path, wanted, reading) as scene:
        found = survey(scene)
    fills = ",".join(f"{fill:.17g}" for fill in found.fills)
    return replace(reading, nodata=fills or NONE), found.notes(str(path), reading.key("nodata"))


def _of_raster(raster: Any, path: Path, wanted: tuple[str, ...], reading: Reading) -> LayeredScene:
    require_map(raster, reading, str(path))
    found, note = _names(raster, wanted, reading, path)
    names = tuple(SCL if name.upper() == SCL else name for name in found)
    data = [number for number, name in enumerate(names, 1) if name != SCL]
    wanted = wanted or tuple(names[number - 1] for number in data)
    numbers = [1 + position for position in positions(wanted, names, str(path), reading)]
    place = Place.of(raster)
    layer = laid_on(raster, place, "the scene")
    dtypes = {raster.dtypes[number - 1] for number in numbers}
    if not all(np.dtype(dtype).kind in "uif" for dtype in dtypes):
        raise UserError(f"{path}: holds numbers of type {', '.join(sorted(dtypes))}; write it as uint16 or float32")
    scaling = scaling_of(raster, sorted({*data, *numbers}))
    at = [sorted({*data, *numbers}).index(number) for number in numbers]
    scales, offsets = (tuple(of[place] for place in at) for of in (scaling.scales, scaling.offsets))
    if reading.scale is not None:
        scales, offsets = (reading.scale,) * len(numbers), (0.0,) * len(numbers)
    if reading.offset and any(offsets):
        key = reading.key("offset")
        raise UserError(f"{key}: {path} declares an offset of its own ({offsets[0]:g}); leave {key} out")
    added = (reading.offset or 0.0,) * len(numbers)
    part = Bands(layer, tuple(numbers), tuple(range(len(wanted))), added, scales, offsets, reading.fills)
    clouds = reading.clouds
    masks = (Mask(layer, names.index(SCL) + 1, clouds),) if SCL in names and clouds else ()
    assumed = scaling.assumed and reading.scale is None
    return LayeredScene(wanted, place, (part,), reading.resampling, masks, note, assumed)


def _names(
    raster: Any, wanted: tuple[str, ...], reading: Reading, path: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the bands of a file, in order, and a note if they were assumed."""
    if reading.bands:
        names = preset(reading.bands)
        if len(names) != raster.count:
            raise UserError(
                f"{reading.key('bands')}: names {len(names)} bands, and {path} has {raster.count}; name all in order, "
                f"or give one of {', '.join(PRESETS)}"
            )
        return names, ()
    described = tuple(name or "" for name in raster.descriptions)
    own = band_names(raster)
    eurosat = own == EUROSAT_BANDS and described != own
    known = reading.caller == "data" or wanted == EUROSAT_BANDS
    if eurosat and known:
        return own, (f"{path}: {EUROSAT_NOTE.format(reading.key('bands'))}",)
    if own == described and reading.caller == "map" and _counted(own, wanted):
        return _counted(own, wanted), (
            f"{path}: the network's {len(wanted)} bands have no names; it takes those of the scene in their order "
            f"({', '.join(name for name in own if name != SCL)})",
        )
    if own == described or reading.caller == "data":
        return own, ()
    counted = numbered(raster.count)
    if set(wanted) <= set(counted):  # the network was trained on scenes without band names
        return counted, (
            f"{path}: neither its {raster.count} bands nor those of the network have names; it takes "
            f"{', '.join(wanted)} by their place in the file",
        )
    if any(described):
        return described, ()
    key = reading.key("bands")
    near = [name for name, bands in PRESETS.items() if len(bands) == raster.count and set(wanted) <= set(bands)]
    hint = f", or in the order of {key} {f' or {key} '.join(near)}" if near else ""
    raise UserError(
        f"{path}: says nothing of the order of its {raster.count} bands; name them with {key} (as in {key} "
        f"{','.join(wanted)}){hint}"
    )


def _counted(names: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Names band1, band2, ... for a file's bands if a network takes just these, and the file has as many; else empty.

    A scene classification keeps its name.
    """
    bands = [name for name in names if name != SCL]
    counted = numbered(len(bands))
    if wanted != counted or set(wanted) <= set(names):
        return ()
    return tuple(SCL if name == SCL else counted[bands.index(name)] for name in names)


def _mask(files: ExitStack, reading: Reading) -> Any:
    if not Path(reading.mask).is_file():
        raise UserError(f"{reading.key('mask')}: there is no file {reading.mask}; check the spelling")
    return files.enter_context(opened(Path(reading.mask)))


def _masked(scene: LayeredScene, mask: Any) -> LayeredScene:
    return replace(scene, masks=(*scene.masks, Mask(laid_on(mask, scene.place, "the mask"), 1, ())))
