"""Draw the synthetic world: one city in true and false colour with its zones, and patches of each class.

    python benchmarks/world_pictures.py docs/figures

Writes `world_city.png` and `world_patches.png` into the folder. A patch is the window of its city that shows most of
its class.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.io.atomic import write_bytes
from compactnas.lcz import CLASSES
from compactnas.mapping.picture import DPI, INK, QUIET
from compactnas.synthetic import CityScene, city_seed, make_city

VIEWS = {
    "true colour": (2, 1, 0),
    "false colour: near infrared, red, green": (6, 2, 1),
}
"""Name of a view -> places of its red, green and blue among the ten bands."""
CITY_PX, CITIES, CITIES_PX = 264, 3, 512
PATCH_PX, STRIDE_PX, ZOOM, GAP_PX = 32, 8, 2, 4
COLOURS = 256
"""Colours of a PNG, so that it is small enough to commit."""


def stretched(pixels: NDArray[np.float32], bands: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Three bands of (band, row, column) as a picture, each stretched between its 1st and 99th percentile."""
    picture = pixels[list(bands)].transpose(1, 2, 0)
    low, high = np.percentile(picture, (1, 99), axis=(0, 1))
    shown: NDArray[np.uint8] = (np.clip((picture - low) / np.maximum(high - low, 0.05), 0, 1) ** 0.85 * 255).astype(
        np.uint8
    )
    return shown


def purest(city: CityScene, number: int) -> NDArray[np.float32]:
    """The patch of a city that shows most of a class: (band, row, column)."""
    starts = range(0, len(city.lcz) - PATCH_PX + 1, STRIDE_PX)
    windows = [(slice(row, row + PATCH_PX), slice(column, column + PATCH_PX)) for row in starts for column in starts]
    best = max(windows, key=lambda window: int((city.lcz[window] == number).sum()))
    return np.asarray(city.reflectance[:, *best], np.float32)


def draw_city(city: CityScene) -> bytes:
    """Draw one city: two views, its zones, and their legend."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    colours = np.array([[int(zone.colour[i : i + 2], 16) for i in (1, 3, 5)] for zone in CLASSES], np.uint8)
    shown = {name: stretched(city.reflectance, bands) for name, bands in VIEWS.items()}
    shown["Local Climate Zones"] = colours[city.lcz - 1]
    figure = Figure(figsize=(10.2, 4.45), dpi=DPI, facecolor="white", layout="constrained")
    for axis, (name, picture) in zip(figure.subplots(1, 3), shown.items(), strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(name, fontsize=9, loc="left", color=INK)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(linewidth=0.6, color=QUIET)
    boxes = [Patch(facecolor=zone.colour, edgecolor=QUIET, linewidth=0.4) for zone in CLASSES]
    names = [f"{zone.label}  {zone.name}" for zone in CLASSES]
    figure.legend(boxes, names, loc="outside lower center", ncols=5, fontsize=8, frameon=False, labelcolor=INK)
    return png(figure)


def draw_patches(cities: list[CityScene]) -> bytes:
    """Draw one patch of each class and city; a column is a class, a row is a city, once in each view."""
    from matplotlib.figure import Figure

    patches = [[purest(city, zone.number) for zone in CLASSES] for city in cities]
    across, side = len(CLASSES), PATCH_PX * ZOOM + GAP_PX
    width, head, between = across * side, 24, 26
    block = len(cities) * side
    height = head + len(VIEWS) * (block + between)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    axis = figure.add_axes((0, 0, 1, 1))
    canvas = np.full((height, width, 3), 255, np.uint8)
    for column, zone in enumerate(CLASSES):
        axis.text(column * side + side / 2, head / 2, zone.label, fontsize=8, ha="center", va="center", color=INK)
    for turn, (name, bands) in enumerate(VIEWS.items()):
        top = head + turn * (block + between)
        axis.text(0, top + block + between / 2 - 2, name, fontsize=7, va="center", color=QUIET)
        for row, column in np.ndindex(len(cities), across):
            tile = stretched(patches[row][column], bands).repeat(ZOOM, 0).repeat(ZOOM, 1)
            y, x = top + row * side, column * side
            canvas[y : y + PATCH_PX * ZOOM, x : x + PATCH_PX * ZOOM] = tile
    axis.imshow(canvas, interpolation="nearest", aspect="auto", extent=(0, width, height, 0))
    axis.axis("off")
    return png(figure)


def png(figure: Any) -> bytes:
    """Save a figure as PNG of few colours."""
    from PIL import Image

    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    picture = Image.open(drawn).convert("RGB")
    picture = picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(small, format="PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the pictures")
    folder = parser.parse_args().folder
    write_bytes(folder / "world_city.png", draw_city(make_city(city_seed(0, 1), CITY_PX)))
    cities = [make_city(city_seed(0, city), CITIES_PX) for city in range(CITIES)]
    write_bytes(folder / "world_patches.png", draw_patches(cities))


if __name__ == "__main__":
    main()
