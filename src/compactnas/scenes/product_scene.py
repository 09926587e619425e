"""Open the files of a product as one scene."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.scenes.files import opened
from compactnas.scenes.layers import Bands, Layer, LayeredScene, Mask, laid_on
from compactnas.scenes.product import Product
from compactnas.scenes.scene import Place, require_map

SCL = "SCL"
"""Name of Sentinel-2's scene classification (L2A), as a file of a product or a band of a raster."""


def open_product(files: ExitStack, product: Product, wanted: tuple[str, ...], reading: Reading) -> LayeredScene:
    """Open the bands of a product as layers of one scene, with its cloud mask.

    Raises:
        UserError: A band is missing, or the files do not fit each other or the network.
    """
    if reading.bands:
        key = reading.key("bands")
        raise UserError(
            f"{key}: {product.path} is a folder; its files are recognised by their names, so leave {key} out"
        )
    names = product.chosen(wanted, reading)
    rasters = [_finest(files, product, name) for name in names]
    base = min(rasters, key=lambda raster: raster.transform.a)
    require_map(base, reading, base.name)
    place = Place.of(base)
    parts = [
        _band(laid_on(raster, place, "the band"), position, product, name, reading)
        for position, (name, raster) in enumerate(zip(names, rasters, strict=True))
    ]
    notes = product.notes if reading.offset is None else ()
    scene = LayeredScene(wanted or tuple(names), place, tuple(parts), reading.resampling, notes=notes)
    if not reading.clouds or product.mask not in product.files:
        return scene
    layer = laid_on(_finest(files, product, product.mask), place, "the scene classification")
    return replace(scene, masks=(Mask(layer, 1, reading.clouds, product.bits),))


def _band(layer: Layer, position: int, product: Product, name: str, reading: Reading) -> Bands:
    """Make one band of a product, with the file's own scale or else the product's; floats are not scaled."""
    raster = layer.raster
    scale, offset, added = raster.scales[0], raster.offsets[0], 0.0
    if (scale, offset) == (1.0, 0.0) and np.dtype(raster.dtypes[0]).kind in "ui":
        scale, offset, added = product.scale, product.offset, product.added(name)
    if reading.scale is not None:
        scale, offset = reading.scale, 0.0
    if reading.offset is not None:
        added = reading.offset
    fills = dict.fromkeys((product.fill, *reading.fills))
    return Bands(layer, (1,), (position,), (added,), (scale,), (offset,), tuple(fills))


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
