"""Write the files of a finished map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes
from compactnas.mapping.block_store import BlockStore
from compactnas.mapping.config import Outputs
from compactnas.mapping.grid import CellRectangle
from compactnas.mapping.legend import LegendEntry
from compactnas.mapping.overview import Overview
from compactnas.mapping.page import layers
from compactnas.mapping.page.page import Picture, write_page
from compactnas.mapping.picture import picture
from compactnas.mapping.smoothing import smoothed
from compactnas.mapping.writing import Writer, judged
from compactnas.scenes.scene import Place
from compactnas.version import __version__

MAP_NOTE = "The most probable class of each cell."
FILTER_NOTE = "WUDAPT's Gaussian filter replaces single cells by the class around them."


def write_outputs(
    out: Path,
    working: Path,
    outputs: Outputs,
    store: BlockStore,
    blocks: Sequence[CellRectangle],
    place: Place,
    legend: Sequence[LegendEntry],
    overview: Overview,
) -> dict[str, Any]:
    """Write the files of a map whose blocks are all done, and return their description for `map.json`.

    Args:
        out: Folder of the map.
        working: Working folder.
        outputs: Names of the files, and which of them to write.
        store: Finished blocks.
        blocks: Cells of each block.
        place: Georeference of the map.
        legend: Classes of the map; LCZ have labels.
        overview: Picture of the scene.

    Raises:
        UserError: No cell has a class.
    """
    labels, sure = np.zeros((2, place.height, place.width), np.uint8)
    for number, cells in enumerate(blocks):
        at = np.s_[cells.row : cells.row + cells.rows, cells.column : cells.column + cells.columns]
        labels[at], sure[at] = judged(store.get(number))
    if not labels.any():
        store.remove()
        raise UserError(
            "no cell has a window with enough valid pixels: all is no data, or under clouds or the mask; lower "
            "--min-valid, or change --cloud-classes or --mask"
        )
    name, lcz = outputs.name, bool(legend[0].label)
    writer = Writer(out, working, place, legend)
    main = f"{name}_lcz" if lcz else f"{name}_classes"
    files = [writer.labels(f"{main}.tif", labels, "lcz" if lcz else "class"), writer.style(f"{main}.qml")]
    files.append(
        writer.probabilities(
            f"{name}_probabilities.tif", ((cells, store.get(number)) for number, cells in enumerate(blocks))
        )
    )
    shown = [layers.classes("classes", "LCZ" if lcz else "Classes", labels, legend, MAP_NOTE)]
    if lcz:
        filtered = smoothed(labels, place.transform.a)
        files.append(writer.labels(f"{main}_filtered.tif", filtered, "lczFilter"))
        files.append(writer.style(f"{main}_filtered.qml"))
        planes = {"lcz": labels, "lczFilter": filtered, "classProbability": sure}
        files.append(writer.three(f"{name}_wudapt.tif", planes))
        shown.append(layers.classes("filtered", "LCZ, filtered", filtered, legend, FILTER_NOTE))
    if outputs.lonlat:
        files.append(writer.lon_lat(f"{main}_lonlat.tif", out / f"{main}.tif"))
    write_bytes(out / f"{name}.png", picture(labels, place, legend, name, overview))
    shown.append(layers.confidence(sure))
    write_page(out / f"{name}.html", name, place, shown, Picture.of(overview), [f"Made with compactnas {__version__}."])
    counts = np.bincount(labels.ravel(), minlength=len(legend) + 1)
    return {
        "files": [file.name for file in files],
        "picture": f"{name}.png",
        "page": f"{name}.html",
        "cells": {"rows": place.height, "columns": place.width, "without_class": int(counts[0])},
        "classes": [
            {"number": entry.number, "name": entry.text, "cells": int(counts[entry.number])} for entry in legend
        ],
    }
