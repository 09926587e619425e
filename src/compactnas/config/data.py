"""Data of a run: the patches and their split."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from compactnas.config.paths import as_text
from compactnas.config.reading import CLOUD_CLASSES, Reading, Resampling
from compactnas.config.requiring import require
from compactnas.registry import Registry

PixelDtype = Literal["auto", "uint8", "uint16", "float32"]
"""Data type of the pixels of a packed set."""


DATA_FORMATS: Registry[Any] = Registry("data format", "compactnas.data.formats", "FORMAT")
"""Names that `data.format` takes, besides `auto`; `compactnas.data.formats` types the entries."""

Split = Literal["official", "d1", "d2", "group", "fold", "block", "random", "csv"]
"""Method that splits patches into parts."""

SPLITS: tuple[str, ...] = get_args(Split)

SPLIT_FIELDS = (
    "split",
    "split_csv",
    "test_groups",
    "test_fraction",
    "folds",
    "fold",
    "block_m",
    "validation_fraction",
    "train_patches",
    "split_seed",
)
"""Fields of a `DataConfig` that describe the split of a source, not how to read it."""

OPTIONS_OF_SPLITS: dict[str, tuple[Split, ...]] = {
    "test_groups": ("group",),
    "split_csv": ("csv",),
    "fold": ("fold",),
    "folds": ("fold",),
    "block_m": ("block",),
    "test_fraction": ("d2", "random", "block", "group"),
}
"""Option of `DataConfig` -> the only splits that use it."""


@dataclass(frozen=True)
class DataConfig:
    """The patches, and their split into parts.

    Attributes:
        path: Path of the patches, such as a So2Sat file or folder, an `.npz` file, a folder of images by class, a scene
            (GeoTIFF, VRT, netCDF, Zarr, product), a folder of scenes, or a packed set; docs/data.md lists all formats.
        format: Name of a data format; `auto` detects it from the path.
        sensor: So2Sat arrays to read: Sentinel-2, Sentinel-1 or both.
        bands: Names of the bands to keep, in this order; all bands if empty.
        downsample: Side of the blocks of pixels to average: 2 makes 32 px of 64 px.
        labels: File with the labels of a scene, or of all scenes of a folder (LCZ raster, or polygons as GeoJSON, KML,
            KMZ, GeoPackage, shapefile, FlatGeobuf or GeoParquet); if empty, the file beside each scene.
        label_field: Field of the polygons that holds their class; if empty, a usual one such as `lcz` or `class`. With
            a field that holds no LCZ, the classes are its values.
        label_band: Band of a raster of labels that holds the classes, by number or description; if empty, `lcz`,
            `lczFilter` or the first.
        window_px: Side of the window at each label of a scene, in pixels.
        stride_px: Distance between neighbouring windows of a scene, in pixels; 0 means about 100 m.
        scene_bands: Names of the bands of a scene in order, B02,B03,..., or a preset: s2-13, s2-12, s2-10, eurosat,
            landsat-7; if empty, its band descriptions.
        scale: Factor from the numbers of a scene to reflectance; by default the file's own, else 1/10000 for 16-bit
            numbers and 1 for others.
        offset: Offset that is added to the numbers of a scene before scaling; by default the product's, else 0.
        nodata: Numbers that stand for no data in a scene besides those that it declares, 65535 or 0,-9999; by default
            they are recognised by their shape; `-` for none.
        mask: Raster on the grid of a scene; pixels where it is not 0 are left out; for several scenes A.tif,B.tif.
        cloud_classes: Classes of a product's scene classification (SCL) that are left out; `-` keeps all clouds.
        resampling: Resampling of a product's 20 m bands to 10 m.
        split: Method that makes training, validation and test parts. `official`: the parts of the source (d1 of
            So2Sat). `d2`: the official training part, split at random (paper, section 4). `group`: whole groups
            (polygons, cities) are held out. `fold`: one of K folds of groups. `block`: squares on the ground are held
            out, and patches across their borders are dropped. `random`: all patches at random. `csv`: the parts in
            `data.split_csv`.
        split_csv: File with columns path,split[,group] for the split `csv`.
        test_groups: Groups of the test part for the split `group`; if empty, groups are drawn by class.
        test_fraction: Share of the test part for the splits `d2`, `random`, `block`, and `group` without test groups.
        folds: Number of folds for the split `fold`; 0 makes one fold of each group (leave one group out).
        fold: Number of the fold that is the test part, from 0.
        block_m: Side of a square for the split `block`, in the unit of the coordinates.
        validation_fraction: Share of the validation part, taken from the training part by the same method; 0 makes
            no validation part.
        train_patches: Largest number of patches of the training part, drawn at random with the same share of each
            class; 0 keeps all. The other parts stay whole.
        split_seed: Random seed of the split.
        preload_gib: Largest size of a source that is read into memory as a whole, in GiB.
    """

    path: str = ""
    format: str = "auto"
    sensor: Literal["sen2", "sen1", "both"] = "sen2"
    bands: tuple[str, ...] = ()
    downsample: int = 1
    labels: str = ""
    label_field: str = ""
    label_band: str = ""
    window_px: int = 32
    stride_px: int = 0
    scene_bands: str = ""
    scale: float | None = None
    offset: float | None = None
    nodata: str = ""
    mask: str = ""
    cloud_classes: str = CLOUD_CLASSES
    resampling: Resampling = "nearest"
    split: Split = "official"
    split_csv: str = ""
    test_groups: tuple[str, ...] = ()
    test_fraction: float = 0.2
    folds: int = 5
    fold: int = 0
    block_m: float = 5000.0
    validation_fraction: float = 0.0
    train_patches: int = 0
    split_seed: int = 0
    preload_gib: float = 4.0

    def __post_init__(self) -> None:
        for name in ("path", "labels", "mask", "split_csv"):
            object.__setattr__(self, name, as_text(getattr(self, name)))
        if self.format != "auto":
            DATA_FORMATS.require(self.format, "data.format")
        require(
            self.downsample >= 1,
            f"data.downsample: {self.downsample} is less than 1; give 1 (keep all pixels) or more",
        )
        require(self.window_px >= 1, f"data.window_px: {self.window_px} is less than 1; give 1 or more")
        require(
            self.stride_px >= 0, f"data.stride_px: {self.stride_px} is negative; give 0 (about 100 m), or 1 or more"
        )
        _ = self.reading
        require(
            0 < self.test_fraction < 1,
            f"data.test_fraction: {self.test_fraction} is not between 0 and 1; give a share such as 0.2",
        )
        require(
            0 <= self.validation_fraction < 1,
            f"data.validation_fraction: {self.validation_fraction} is not a share below 1; give 0 (no validation "
            "part), or a share such as 0.1",
        )
        require(
            self.train_patches >= 0,
            f"data.train_patches: {self.train_patches} is negative; give 0 (keep all) or the number to train on",
        )
        require(
            self.folds == 0 or self.folds >= 2,
            f"data.folds: {self.folds} folds are not possible; give 0 (one fold of each group), or 2 or more",
        )
        require(self.fold >= 0, f"data.fold: {self.fold} is negative; give 0 (the first fold) or more")
        require(
            self.block_m > 0,
            f"data.block_m: {self.block_m} is not above 0; give the side of a square, such as 5000",
        )
        require(
            self.split != "csv" or bool(self.split_csv),
            "data.split_csv: no file is given, but data.split=csv needs one; name a CSV file with columns path,split",
        )

    def split_options_without_effect(self) -> tuple[str, ...]:
        """Name the options that are set, although the split does not use them."""
        return tuple(
            name
            for name, splits in OPTIONS_OF_SPLITS.items()
            if self.split not in splits or (name == "test_fraction" and self.test_groups)
            if getattr(self, name) != DEFAULTS[name]
        )

    def with_fitting_split_options(self, base: DataConfig, splits: Collection[str] = SPLITS) -> DataConfig:
        """Reset options of other splits that are not given here, but taken over from another config.

        Args:
            base: Config that the options are taken over from.
            splits: Only options that one of these splits uses are reset.
        """
        left = {
            name: DEFAULTS[name]
            for name in self.split_options_without_effect()
            if getattr(self, name) == getattr(base, name) and set(OPTIONS_OF_SPLITS[name]) & set(splits)
        }
        return replace(self, **left)

    @property
    def reading(self) -> Reading:
        """Options for reading scenes."""
        return Reading(
            bands=self.scene_bands,
            scale=self.scale,
            offset=self.offset,
            nodata=self.nodata,
            mask=self.mask,
            cloud_classes=self.cloud_classes,
            resampling=self.resampling,
            caller="data",
        )


DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(DataConfig)}
"""Option of `DataConfig` -> its default."""
