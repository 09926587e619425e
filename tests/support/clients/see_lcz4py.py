"""What LCZ4py (0.1) sees in a one-band map: run with the Python of an environment that holds lcz4py.

    python see_lcz4py.py WORK MAP_lcz.tif

It plots the map with `lcz_plot_map` and sums areas with `lcz_cal_area`, and holds both against the file: the class of
each cell at its place, a colour that is nearest to the file's own of that class (its red is not quite WUDAPT's), a
legend entry for each class, nothing where there is no class, and areas.
Prints what was seen as JSON; exit code 1 on a difference.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import rasterio
from LCZ4py.general.lcz_cal_area import lcz_cal_area
from LCZ4py.general.lcz_plot_map import lcz_plot_map


def main() -> int:
    work, file = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)  # it writes into a folder of the current one
    with rasterio.open(file) as raster:
        labels, place = raster.read(1), raster.transform
        own = np.array([raster.colormap(1)[n][:3] for n in range(1, 18)])
    plot = lcz_plot_map(str(file), isave=True, save_extension="html")
    heat = plot.fig.data[0]
    drawn = np.asarray(heat.z)
    classes = [int(n) for n in np.unique(labels) if n]
    scale = {round(17 * at): colour for at, colour in heat.colorscale}
    legend = {int(trace.name.split(":")[0]): trace.marker.color for trace in plot.fig.data[1:]}
    south = place.f + labels.shape[0] * place.e
    rows = {int(row["lcz"]): float(row["area_km2"]) for row in lcz_cal_area(str(file)).df.to_dicts()}
    cell_km2 = abs(place.a * place.e) / 1e6
    checks = {
        "every cell at its place": bool((np.flipud(drawn) == labels).all()),
        "corner and step": [heat.x0, heat.y0, heat.dx, heat.dy] == [place.c, south, place.a, -place.e],
        "colours": all(scale[n] == legend[n] and nearest(scale[n], own) == n for n in classes),
        "legend": sorted(legend) == classes,
        "areas": all(same_area(rows[n], (labels == n).sum() * cell_km2) for n in classes) and sorted(rows) == classes,
        "picture": any(Path("LCZ4r_output").glob("*.html")),
    }
    print(
        json.dumps(
            {
                "cells": labels.size,
                "without class": int((labels == 0).sum()),
                "km2": {n: round(area, 2) for n, area in rows.items()},
            }
            | checks
        )
    )
    return 0 if all(checks.values()) else 1


def same_area(seen: float, km2: float) -> bool:
    """LCZ4py sums in float32, and rounds to hundredths of a square kilometre."""
    return abs(seen - km2) <= 1e-4 * km2 + 0.005


def nearest(colour: str, own: np.ndarray) -> int:
    """The class whose colour in the file is nearest."""
    rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return 1 + int(((own - rgb) ** 2).sum(1).argmin())


if __name__ == "__main__":
    sys.exit(main())
