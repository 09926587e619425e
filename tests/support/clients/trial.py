"""A small map with each class at a place of its own, as `compactnas map` writes maps: what the clients are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NAME, SIDE = "trial", 132


def trial_labels() -> np.ndarray:
    """LCZ 1 to 17 in blocks of 12 cells, of no symmetry, with lone cells for the filter and a border without class."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    labels = (1 + (rows // 12 + 3 * (columns // 12)) % 17).astype(np.uint8)
    labels[4::24, 5::24] = 1 + labels[4::24, 5::24] % 17
    labels[:2] = labels[:, :3] = labels[-1:] = 0
    return labels


def write_trial(folder: Path) -> None:
    """`trial_lcz.tif` and `trial_wudapt.tif`, by the writer of the maps."""
    from rasterio import Affine
    from rasterio.crs import CRS

    from compactnas.lcz import NAMES
    from compactnas.mapping.legend import legend
    from compactnas.mapping.smoothing import smoothed
    from compactnas.mapping.writing import Writer
    from compactnas.scenes.scene import Place

    working = folder / "working"
    working.mkdir(parents=True)
    labels = trial_labels()
    place = Place(CRS.from_epsg(32633), Affine(100, 0, 420_000, 0, -100, 5_820_000), *labels.shape)
    writer = Writer(folder, working, place, legend(NAMES, lcz=True))
    writer.labels(f"{NAME}_lcz.tif", labels, "lcz")
    planes = {
        "lcz": labels,
        "lczFilter": smoothed(labels, 100.0),
        "classProbability": np.minimum(labels, 1) * np.uint8(80),
    }
    writer.three(f"{NAME}_wudapt.tif", planes)
