"""Which patches, and how they are cut into parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from compactnas.config.requiring import require
from compactnas.registry import Registry

PixelDtype = Literal["auto", "uint8", "uint16", "float32"]
"""Of a packed set's pixels."""


DATA_FORMATS: Registry[Any] = Registry("data format", "compactnas.data.formats", "FORMAT")
"""Names that `data.format` takes, besides `auto`; `compactnas.data.formats` types the entries."""

Split = Literal["official", "d1", "d2", "group", "fold", "block", "random", "csv"]
"""How patches are cut into parts."""

SPLIT_FIELDS = (
    "split",
    "split_csv",
    "test_groups",
    "test_fraction",
    "folds",
    "fold",
    "block_m",
    "validation_fraction",
    "split_seed",
)
"""Of a `DataConfig`: what says how a source is cut, not which and how it is read."""


@dataclass(frozen=True)
class DataConfig:
    """Which patches, and how they are cut into parts.

    Attributes:
        path: a So2Sat file or folder, an `.npz` file, a folder of images by class, a GeoTIFF scene
            or a folder of scenes, or a packed set.
        format: Name of a data format; `auto` detects it from the path.
        sensor: So2Sat arrays to read, `sen2`, `sen1` or `both`.
        bands: names of the bands to keep, in this order; none given keeps all.
        downsample: side of the block of pixels that is averaged into one (2 makes 32 px of 64).
        labels: file of a scene's labels (LCZ raster or GeoJSON); none given takes the one beside it.
        window_px: side of the window that is cut at each label of a scene.
        stride_px: distance of such windows in pixels; 0 makes it about 100 m.
        split: how training, validation and test parts are made. `official` is the source's own
            (d1 on So2Sat), `d2` cuts the official training part at random (paper, section 4),
            `group` holds whole groups (cities) out, `fold` is one of K folds of groups, `block` holds
            out squares of the ground and drops patches across their borders, `random` cuts
            everything, `csv` reads a file.
        split_csv: file with columns path,split[,group] for `split: csv`.
        test_groups: groups of the test part for `split: group`; none given draws them by seed.
        test_fraction: share of the test part for `d2`, `random`, `block` and drawn groups.
        folds: how many for `split: fold`; 0 makes one of each group (leave one city out).
        fold: which of them is the test part, from 0.
        block_m: side of a square for `split: block`, in the unit of the coordinates.
        validation_fraction: share of the validation part, taken out of what is left for
            training, by the same rule; 0 makes none.
        split_seed: seed of random splits.
        preload_gib: sources up to this size are read into memory whole.
    """

    path: str = ""
    format: str = "auto"
    sensor: Literal["sen2", "sen1", "both"] = "sen2"
    bands: tuple[str, ...] = ()
    downsample: int = 1
    labels: str = ""
    window_px: int = 32
    stride_px: int = 0
    split: Split = "official"
    split_csv: str = ""
    test_groups: tuple[str, ...] = ()
    test_fraction: float = 0.2
    folds: int = 5
    fold: int = 0
    block_m: float = 5000.0
    validation_fraction: float = 0.0
    split_seed: int = 0
    preload_gib: float = 4.0

    def __post_init__(self) -> None:
        if self.format != "auto":
            DATA_FORMATS.require(self.format, "data.format")
        require(self.downsample >= 1, f"data.downsample: {self.downsample} is less than 1")
        require(self.window_px >= 1, f"data.window_px: {self.window_px} is less than 1")
        require(self.stride_px >= 0, f"data.stride_px: {self.stride_px} is negative; 0 makes it about 100 m")
        require(0 < self.test_fraction < 1, f"data.test_fraction: {self.test_fraction} is outside 0 to 1")
        require(
            0 <= self.validation_fraction < 1, f"data.validation_fraction: {self.validation_fraction} is outside 0 to 1"
        )
        require(self.folds == 0 or self.folds >= 2, f"data.folds: {self.folds} is neither 0 nor 2 or more")
        require(self.fold >= 0, f"data.fold: {self.fold} is negative; folds count from 0")
        require(self.block_m > 0, f"data.block_m: {self.block_m} is not above 0")
        require(
            self.split != "csv" or bool(self.split_csv),
            "data.split_csv: `split: csv` needs a file with columns path,split",
        )
