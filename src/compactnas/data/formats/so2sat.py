"""So2Sat LCZ42 in its own HDF5 layout (Zhu et al. 2020; versions 2 to 4), and other files in that layout.

A file holds `label` (patches, 17) one-hot and `sen1` (patches, 32, 32, 8), `sen2` (patches, 32, 32, 10)
or both, with the band last. sen2 is reflectance (digital number / 10000), and is used unchanged. A folder holds
`training.h5`, `testing.h5` and, in versions 2 and 4, `validation.h5`. A file `*_geo.h5` in the same folder can hold
the `city` (older: `cityList`), the `epsg` and the `tfw` (world-file numbers) of every patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import MOST_PATCHES, classes_of_one_hot, names_of, require_finite, require_patch
from compactnas.data.footprints import Footprints, bounds_of_tfw
from compactnas.data.formats import DataFormat
from compactnas.data.formats._hdf5 import READ_ERRORS, dataset_of, has_key, open_file, read_texts, read_values, reason
from compactnas.data.source import Facts, Groups, Images, Indices, Source, band_positions, block_mean, reduced_px
from compactnas.errors import UserError
from compactnas.lcz import NAMES

BANDS = {
    "sen1": ("VH_re", "VH_im", "VV_re", "VV_im", "VH_lee", "VV_lee", "C_re", "C_im"),
    "sen2": ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"),
}
"""Bands in the order of the files. sen1: both complex channels, their Lee-filtered intensities, and the covariance."""

SENSORS = {"sen1": ("sen1",), "sen2": ("sen2",), "both": ("sen1", "sen2")}
FILES = {"train": "training.h5", "validation": "validation.h5", "test": "testing.h5"}
SUFFIXES = {".h5", ".hdf5"}
CITY_KEYS = ("city", "cityList")

ROWS = 4096
"""Number of labels to read at a time."""


@dataclass(frozen=True)
class _File:
    """Open file; its handle lives as long as its datasets."""

    path: Path
    sensors: tuple[h5py.Dataset, ...]
    labels: NDArray[np.int64]
    cities: Groups | None
    footprints: Footprints | None

    def read(self, rows: Indices) -> NDArray[np.float32]:
        """Read rows in ascending order as (patches, row, column, band), with the bands of all sensors."""
        shape = self.sensors[0].shape
        pixels = np.empty((len(rows), *shape[1:3], sum(sensor.shape[3] for sensor in self.sensors)), np.float32)
        # Read neighbouring rows at once: in HDF5, a slice is far cheaper than a list of rows.
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        starts, stops = np.r_[0, breaks], np.r_[breaks, len(rows)]
        band = 0
        for sensor in self.sensors:
            bands = slice(band, band := band + sensor.shape[3])
            try:
                with np.errstate(all="ignore"):  # an overflow becomes infinite and is refused below
                    for start, stop in zip(starts, stops, strict=True):
                        pixels[start:stop, :, :, bands] = sensor[rows[start] : rows[stop - 1] + 1]
            except READ_ERRORS as error:
                raise UserError(
                    f"{self.path}: {sensor.name[1:]} is damaged ({reason(error)}); get the file again"
                ) from error
            require_finite(pixels[..., bands], rows, f"{self.path}: {sensor.name[1:]}")
        return pixels


@dataclass(frozen=True)
class So2SatSource:
    """Source that reads patches from open files, a batch at a time.

    Attributes:
        facts: Facts about the patches.
        files: Open files, whose rows are concatenated.
        positions: Positions of the bands to keep, among the bands of all sensors.
        downsample: Side of the pixel blocks to average.
    """

    facts: Facts
    files: tuple[_File, ...]
    positions: list[int]
    downsample: int

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        ascending = bool((indices[1:] > indices[:-1]).all())
        rows, places = (indices, None) if ascending else np.unique(indices, return_inverse=True)
        read, first = [], 0
        for file in self.files:
            last = first + len(file.labels)
            inside = rows[(rows >= first) & (rows < last)] - first
            if len(inside):
                read.append(file.read(inside))
            first = last
        images = (np.concatenate(read) if len(read) != 1 else read[0]).transpose(0, 3, 1, 2)
        if places is not None:
            images = images[places]
        if self.positions != list(range(images.shape[1])):
            images = images[:, self.positions]
        return block_mean(images, self.downsample), self.facts.labels[indices]


def is_so2sat(path: Path) -> bool:
    """Check for an HDF5 file, by name or first bytes, or a folder of them (version 3 has a folder for each part)."""
    if path.is_dir():
        return any(path.glob("*.h5")) or any(path.glob("*/training.h5"))
    return path.suffix.lower() in SUFFIXES or bool(h5py.is_hdf5(path))


def open_so2sat(path: Path, sensor: str = "sen2", bands: tuple[str, ...] = (), downsample: int = 1) -> Source:
    """Open a So2Sat file, or a folder of its parts; labels and cities are read, pixels are not.

    Raises:
        UserError: The file is not HDF5 or is cut short, a key is missing, a shape is wrong, or labels are not one-hot.
    """
    paths = _paths(path)
    files = tuple(_open(file, SENSORS[sensor]) for file in paths.values())
    pixels = {file.sensors[0].shape[1] for file in files}
    if len(pixels) > 1:
        raise UserError(f"{path}: its files have patches of {sorted(pixels)} pixels; they must be of one size")
    names = tuple(band for part in SENSORS[sensor] for band in BANDS[part])
    positions = band_positions(names, bands, f"{path} ({sensor})")
    cities = [file.cities for file in files if file.cities is not None]
    places = [file.footprints for file in files if file.footprints is not None]
    stops = np.cumsum([len(file.labels) for file in files])
    rows = {
        part: np.arange(stop - len(file.labels), stop) for part, file, stop in zip(paths, files, stops, strict=True)
    }
    facts = Facts(
        name=path.stem,
        bands=tuple(names[position] for position in positions),
        classes=NAMES,
        patch_px=reduced_px(pixels.pop(), downsample, str(path)),
        labels=np.concatenate([file.labels for file in files]),
        groups=np.concatenate(cities) if len(cities) == len(files) else None,
        footprints=Footprints.joined(places) if len(places) == len(files) else None,
        parts=rows if path.is_dir() else {},
        keys=[f"{file.path.name}/{row}" for file in files for row in range(len(file.labels))],
        lcz=True,
    )
    return So2SatSource(facts, files, positions, downsample)


def _paths(path: Path) -> dict[str, Path]:
    """Find the files by part; a single file belongs to no part."""
    if not path.is_dir():
        return {"all": path}
    paths = {part: path / name for part, name in FILES.items() if (path / name).is_file()}
    if not paths:
        inside = sorted(folder.parent.name for folder in path.glob("*/training.h5"))
        raise UserError(
            f"{path}: choose one of its folders, {', '.join(inside)}"
            if inside
            else f"{path}: holds none of {', '.join(FILES.values())}; give a folder with them, or one .h5 file"
        )
    return paths


def _open(path: Path, sensors: tuple[str, ...]) -> _File:
    file = open_file(path)
    label = dataset_of(file, path, "label")
    if len(label.shape) != 2 or label.shape[1] != len(NAMES):
        raise UserError(f"{path}: label has shape {label.shape}; So2Sat's is (patches, {len(NAMES)})")
    patches = int(label.shape[0])
    if not patches:
        raise UserError(f"{path}: holds no patch; get it again")
    if patches > MOST_PATCHES:
        raise UserError(f"{path}: says that it holds {patches} patches, more than {MOST_PATCHES}; get it again")
    datasets = tuple(dataset_of(file, path, sensor) for sensor in sensors)
    pixels = int(datasets[0].shape[1]) if len(datasets[0].shape) == 4 else 0
    for sensor, dataset in zip(sensors, datasets, strict=True):
        expected = (patches, pixels, pixels, len(BANDS[sensor]))
        if dataset.shape != expected or not pixels:
            raise UserError(
                f"{path}: {sensor} has shape {dataset.shape}; So2Sat's is (patches, row, column, band), square, with "
                f"{len(BANDS[sensor])} bands, and as many patches as label, {patches}"
            )
        require_patch(pixels, len(BANDS[sensor]), f"{path}: {sensor}")
    labels = np.empty(patches, np.int64)
    for start in range(0, patches, ROWS):
        part = read_values(label, path, slice(start, start + ROWS))
        labels[start : start + ROWS] = classes_of_one_hot(part, f"{path}: label", start)
    columns = _columns(file, path, patches)
    cities = next((columns[key] for key in CITY_KEYS if key in columns), None)
    return _File(
        path, datasets, labels, None if cities is None else _groups(cities, path), _places(columns, path, pixels)
    )


def _columns(file: h5py.File, path: Path, patches: int) -> dict[str, NDArray[np.generic]]:
    """Read the city and the location of each patch, from the file itself or its `*_geo.h5`."""
    geo, found = _geo_file(path), {}
    for holder, where in ((open_file(geo) if geo.is_file() else None, geo), (file, path)):
        for key in (*CITY_KEYS, "epsg", "tfw"):
            if holder is None or not has_key(holder, where, key):
                continue
            dataset = dataset_of(holder, where, key, text=key in CITY_KEYS)
            if dataset.shape not in (((patches, 6),) if key == "tfw" else ((patches,), (patches, 1))):
                values = dataset.shape[0] if dataset.shape else 1
                shape = f" of shape {dataset.shape}" * (values == patches)
                raise UserError(f"{where}: {key} has {values} values{shape}; {path.name} has {patches} patches")
            found[key] = read_texts(dataset, where) if key in CITY_KEYS else read_values(dataset, where)
    return found


def _groups(cities: NDArray[np.generic], path: Path) -> Groups:
    texts = [_text(value) for value in cities.ravel()]
    names = sorted(set(texts))
    places = {name: place for place, name in enumerate(names)}
    return names_of(names, np.array([places[text] for text in texts]), str(path))


def _geo_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}_geo.h5")


def _places(columns: dict[str, NDArray[np.generic]], path: Path, pixels: int) -> Footprints | None:
    if not {"epsg", "tfw"} <= columns.keys():
        return None
    where, epsg, tfw = _geo_file(path), columns["epsg"].reshape(-1), columns["tfw"]
    if not (np.isfinite(epsg).all() and (np.abs(epsg.astype(np.float64)) < 2**31).all()):
        raise UserError(f"{where}: epsg holds a value that is not an EPSG code; get the file again")
    with np.errstate(all="ignore"):  # an overflow is refused as an invalid place
        return Footprints(epsg.astype(np.int64), bounds_of_tfw(tfw.astype(np.float64), pixels, f"{where}: tfw"))


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


FORMAT = DataFormat(
    title="a So2Sat file or folder",
    detect=is_so2sat,
    open=lambda config: open_so2sat(Path(config.path), config.sensor, config.bands, config.downsample),
    options=("sensor",),
)
