"""Draw a scene, its map and the map's confidence side by side, as in the README.

    python benchmarks/hero.py mine/scenes/Kalaburg.tif mine_map docs/figures/hero.png

The scene and the map are those of docs/tutorial.md: a synthetic city, mapped by a network that `compactnas run` found
and trained on polygons of the city. The scene needs bands B04, B03 and B02.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from compactnas.config.reading import Reading
from compactnas.io.atomic import write_bytes
from compactnas.lcz import NAMES
from compactnas.mapping.legend import legend
from compactnas.mapping.overview import TRUE_COLOUR, read_overview
from compactnas.mapping.triptych import Triptych
from compactnas.scenes.scene import Place


def draw(scene: Path, maps: Path) -> bytes:
    """Draw the picture as PNG."""
    import rasterio

    with rasterio.open(maps / f"{scene.stem}_wudapt.tif") as raster:
        place = Place.of(raster)
        bands = dict(zip(raster.descriptions, raster.read(), strict=True))
    view = read_overview([scene], Reading(), TRUE_COLOUR, place)
    return Triptych(
        view.pixels,
        (view.columns, view.rows),
        bands["lcz"].astype(np.uint8),
        bands["classProbability"].astype(np.float32),
        legend(NAMES, lcz=True),
        place.transform.a,
        ("Scene, 10 m", "Local Climate Zones, cells of 100 m", "Confidence: largest class probability"),
    ).draw()


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
