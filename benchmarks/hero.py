"""Draw a scene, its map and the map's confidence side by side, as in the README.

    python benchmarks/hero.py mine/scenes/Kalaburg.tif mine_map docs/figures/hero.png

The scene and the map are those of docs/tutorial.md: a synthetic city, mapped by a network that `compactnas run` found
and trained on polygons of the city. The scene needs bands B04, B03 and B02.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.config.reading import Reading
from compactnas.io.atomic import write_bytes
from compactnas.lcz import CLASSES
from compactnas.mapping.overview import TRUE_COLOUR, read_overview
from compactnas.mapping.picture import DPI, INK, QUIET
from compactnas.scenes.scene import Place

BAR_M = 2000
"""Length of the scale bar."""


def draw(scene: Path, maps: Path) -> bytes:
    """Draw the picture as PNG."""
    import rasterio
    from matplotlib.figure import Figure

    with rasterio.open(maps / f"{scene.stem}_wudapt.tif") as raster:
        place = Place.of(raster)
        bands = dict(zip(raster.descriptions, raster.read(), strict=True))
    figure = Figure(figsize=(10.2, 4.75), dpi=DPI, facecolor="white")
    grid = figure.add_gridspec(1, 3, left=0.008, right=0.992, top=0.945, bottom=0.275, wspace=0.03)
    axes = [figure.add_subplot(cell) for cell in grid]
    view = read_overview([scene], Reading(), TRUE_COLOUR, place)
    axes[0].imshow(view.pixels, extent=(0, view.columns, view.rows, 0))
    colours = np.array([(242, 242, 242), *(_rgb(zone.colour) for zone in CLASSES)], np.uint8)
    axes[1].imshow(colours[bands["lcz"].astype(int)], interpolation="nearest", extent=(0, place.width, place.height, 0))
    shown = axes[2].imshow(
        bands["classProbability"], vmin=0, vmax=100, cmap="viridis", extent=(0, place.width, place.height, 0)
    )
    titles = ("Scene, 10 m", "Local Climate Zones, cells of 100 m", "Confidence: largest class probability")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xticks=[], yticks=[], xlim=(0, place.width), ylim=(place.height, 0))
        axis.set_title(title, fontsize=9, loc="left", color=INK)
        axis.spines[:].set(linewidth=0.6, color=QUIET)
    _scale(axes[0], place)
    _legend(figure)
    bar = figure.colorbar(shown, cax=figure.add_axes((0.70, 0.18, 0.26, 0.028)), orientation="horizontal")
    bar.ax.tick_params(labelsize=8)
    bar.set_label("%", fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _scale(axis: Any, place: Place) -> None:
    """Draw the scale bar below a picture, in cells of the map."""
    length, y = BAR_M / place.transform.a, 1.035 * place.height
    axis.plot([0, length], [y, y], color=INK, linewidth=2, clip_on=False, solid_capstyle="butt")
    axis.text(1.05 * length, y, f"{BAR_M // 1000} km", fontsize=8, va="center", color=INK)


def _legend(figure: Any) -> None:
    """Draw the classes in four columns below the pictures."""
    from matplotlib.patches import Rectangle

    rows = -(-len(CLASSES) // 4)
    for position, zone in enumerate(CLASSES):
        column, row = divmod(position, rows)
        x, y = 0.008 + 0.168 * column, 0.185 - 0.042 * row
        figure.add_artist(Rectangle((x, y), 0.014, 0.03, facecolor=zone.colour, edgecolor=QUIET, linewidth=0.4))
        figure.text(x + 0.019, y + 0.015, f"{zone.label}  {zone.name}", fontsize=8, va="center", color=INK)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path, help="scene that was mapped")
    parser.add_argument("maps", type=Path, help="folder of the map")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    options = parser.parse_args()
    write_bytes(options.picture, draw(options.scene, options.maps))


if __name__ == "__main__":
    main()
