"""Open scenes and their masks: a GeoTIFF with several bands, or a folder with a file for each (`product.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.scenes.bands import positions
from compactnas.scenes.files import SUFFIXES, opened
from compactnas.scenes.layers import Bands, Layer, LayeredScene, Mask, laid_on
from compactnas.scenes.numbers import scaling_of
from compactnas.scenes.product import Product, find_product
from compactnas.scenes.scene import Place, Scene, require_map

SCL = "SCL"
"""Name of Sentinel-2's scene classification (L2A), as a file of a product or a band of a GeoTIFF."""


@contextmanager
def open_scene(path: Path, wanted: tuple[str, ...], reading: Reading) -> Iterator[Scene]:
    """Open a scene with the bands of a network, in the network's order.

    Args:
        path: GeoTIFF, folder with a file for each band, or Sentinel-2 product (`.SAFE`).
        wanted: Names of the bands.
        reading: Options for reading.

    Raises:
        UserError: The file is not a scene, lacks a band, does not name its bands, has no coordinates in metres or other
            pixels than the network takes, or its files lie on different grids.
    """
    with ExitStack() as files:
        mask = _mask(files, reading) if reading.mask else None
        if path.is_dir():
            scene = _of_product(files, find_product(path), wanted, reading)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            scene = _of_raster(files, path, wanted, reading)
        elif path.exists():
            raise UserError(f"{path}: is no scene; give a GeoTIFF, or a folder or product with one file per band")
        else:
            raise UserError(f"{path}: there is no such file or folder; check the spelling")
        yield scene if mask is None else _masked(scene, mask)


def _of_raster(files: ExitStack, path: Path, wanted: tuple[str, ...], reading: Reading) -> LayeredScene:
    raster = files.enter_context(opened(path))
    require_map(raster, reading, str(path))
    names = _names(raster, wanted, reading, path)
    numbers = [1 + position for position in positions(wanted, names, str(path))]
    place = Place.of(raster)
    layer = laid_on(raster, place, "the scene")
    dtypes = {raster.dtypes[number - 1] for number in numbers}
    if not all(np.dtype(dtype).kind in "uif" for dtype in dtypes):
        raise UserError(f"{path}: holds numbers of type {', '.join(sorted(dtypes))}; write it as uint16 or float32")
    scales, offsets, _ = scaling_of(raster, numbers)
    if reading.scale is not None:
        scales, offsets = (reading.scale,) * len(numbers), (0.0,) * len(numbers)
    if reading.offset and any(offsets):
        raise UserError(f"--offset: {path} declares an offset of its own ({offsets[0]:g}); leave --offset out")
    added = (reading.offset or 0.0,) * len(numbers)
    part = Bands(layer, tuple(numbers), tuple(range(len(wanted))), added, scales, offsets)
    clouds = reading.clouds
    masks = (Mask(layer, names.index(SCL) + 1, clouds),) if SCL in names and clouds else ()
    return LayeredScene(wanted, place, (part,), reading.resampling, masks)


def _names(raster: Any, wanted: tuple[str, ...], reading: Reading, path: Path) -> tuple[str, ...]:
    """Names of the bands of a file, in order."""
    if reading.bands:
        if len(reading.band_names) != raster.count:
            raise UserError(
                f"--bands: names {len(reading.band_names)} bands, and {path} has {raster.count}; name all in order"
            )
        return reading.band_names
    if any(raster.descriptions):
        return tuple(name or "" for name in raster.descriptions)
    counted = tuple(f"band{number}" for number in range(1, raster.count + 1))
    if set(wanted) <= set(counted):
        return counted  # the network was trained on scenes without band names
    raise UserError(
        f"{path}: says nothing of the order of its {raster.count} bands; name them with --bands (as in --bands "
        f"{','.join(wanted)})"
    )


def _of_product(files: ExitStack, product: Product, wanted: tuple[str, ...], reading: Reading) -> LayeredScene:
    if reading.bands:
        raise UserError(
            f"--bands: {product.path} is a folder; its files are recognised by their names, so leave --bands out"
        )
    names = product.chosen(wanted)
    rasters = [_finest(files, product, name) for name in names]
    base = min(rasters, key=lambda raster: raster.transform.a)
    require_map(base, reading, base.name)
    place = Place.of(base)
    parts = [
        _band(laid_on(raster, place, "the band"), position, product, name, reading)
        for position, (name, raster) in enumerate(zip(names, rasters, strict=True))
    ]
    scene = LayeredScene(
        wanted, place, tuple(parts), reading.resampling, notes=product.notes if reading.offset is None else ()
    )
    if not reading.clouds or SCL not in product.files:
        return scene
    layer = laid_on(_finest(files, product, SCL), place, "the scene classification")
    return replace(scene, masks=(Mask(layer, 1, reading.clouds),))


def _band(layer: Layer, position: int, product: Product, name: str, reading: Reading) -> Bands:
    """Make one band of a product, with the file's own scale or else the product's; floats are not scaled."""
    raster = layer.raster
    scale, offset, added = raster.scales[0], raster.offsets[0], 0.0
    if (scale, offset) == (1.0, 0.0) and np.dtype(raster.dtypes[0]).kind in "ui":
        scale, added = 1 / product.quantification, product.added(name)
    if reading.scale is not None:
        scale, offset = reading.scale, 0.0
    if reading.offset is not None:
        added = reading.offset
    return Bands(layer, (1,), (position,), (added,), (scale,), (offset,))


def _finest(files: ExitStack, product: Product, name: str) -> Any:
    """Open the file of a band that has the smallest pixels."""
    rasters = [files.enter_context(opened(file, driver)) for file, driver in product.files[name]]
    for raster in rasters:
        if raster.count != 1:
            raise UserError(f"{raster.name}: holds {raster.count} bands instead of one; remove it from the folder")
    side = min(raster.transform.a for raster in rasters)
    finest = [raster for raster in rasters if raster.transform.a == side]
    if len(finest) > 1:
        raise UserError(
            f"{product.path}: has two files of {name}, {Path(finest[0].name).name} and {Path(finest[1].name).name}; "
            "give a folder with one product"
        )
    return finest[0]


def _mask(files: ExitStack, reading: Reading) -> Any:
    if not Path(reading.mask).is_file():
        raise UserError(f"--mask: there is no file {reading.mask}; check the spelling")
    return files.enter_context(opened(Path(reading.mask)))


def _masked(scene: LayeredScene, mask: Any) -> Scene:
    return replace(scene, masks=(*scene.masks, Mask(laid_on(mask, scene.place, "the mask"), 1, ())))
