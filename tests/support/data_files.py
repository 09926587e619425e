"""Write small data sets with known pixels in each format that the package reads."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compactnas.config import DataConfig
from compactnas.lcz import NAMES

PX = 8
SEN2 = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


@dataclass(frozen=True)
class Made:
    """Data set on disk, and the content that a reader must find in it."""

    config: DataConfig
    images: NDArray[np.generic]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    bands: tuple[str, ...]
    parts: tuple[str, ...] = ()
    groups: NDArray[np.str_] | None = None


def integers(patches: int, bands: int, top: int = 255) -> NDArray[np.int64]:
    return np.random.default_rng(patches).integers(0, top, (patches, bands, PX, PX), endpoint=True)


def write_h5(path: Path, seed: int, patches: int, cities: Sequence[str] = (), key: str = "city") -> dict[str, NDArray]:
    """Write a file in So2Sat's layout, as float64; cities go to a `_geo.h5` file beside it."""
    rng = np.random.default_rng(seed)
    arrays = {
        "sen1": rng.normal(0, 0.2, (patches, PX, PX, 8)),
        "sen2": rng.uniform(0, 1, (patches, PX, PX, 10)),
        "label": np.eye(17)[np.arange(patches) % 17],
    }
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    if cities:
        with h5py.File(path.with_name(f"{path.stem}_geo.h5"), "w") as file:
            file[key] = np.array([[cities[row % len(cities)].encode()] for row in range(patches)])
    return arrays


def write_images(root: Path, images: NDArray[np.generic], labels: NDArray[np.int64], names: Sequence[str]) -> None:
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        (root / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0).astype(np.uint8)).save(root / names[label] / f"{row:03}.png")


def write_csv(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("path", "split")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def folder(where: Path) -> Made:
    images, labels, classes = integers(30, 3), np.arange(30) // 10, ("field", "sea", "town")
    write_images(where / "images", images, labels, classes)
    return Made(DataConfig(str(where / "images")), images, labels, classes, ("R", "G", "B"))


def npz(where: Path) -> Made:
    images, labels, classes = integers(40, 4, 60000).astype(np.uint16), np.arange(40) % 4, ("a", "b", "c", "d")
    groups = np.array([f"city {row // 8}" for row in range(40)])
    np.savez(
        where / "set.npz",
        images=images,
        labels=labels.astype(np.uint8),
        class_names=np.array(classes),
        band_names=np.array(("B02", "B03", "B04", "B08")),
        split_spatial=np.arange(40) // 8 // 2,
        split_names=np.array(("train", "val", "test")),
        group=np.arange(40) // 8,
    )
    groups = (np.arange(40) // 8).astype(np.str_)
    parts = ("train", "validation", "test")
    return Made(
        DataConfig(str(where / "set.npz")), images, labels, classes, ("B02", "B03", "B04", "B08"), parts, groups
    )


def npz_nhwc(where: Path) -> Made:
    """Write a compressed archive: band last, one-hot labels, parts as words, no optional arrays."""
    images, labels = integers(24, 2).astype(np.float64) / 7, np.arange(24) % 3
    np.savez_compressed(
        where / "set.npz",
        images=images.transpose(0, 2, 3, 1),
        layout=np.array("NHWC"),
        labels=np.eye(3)[labels],
        split=np.array(["training", "test"])[np.arange(24) // 12],
    )
    config = DataConfig(str(where / "set.npz"))
    return Made(config, images, labels, ("0", "1", "2"), ("band1", "band2"), ("train", "test"))


def so2sat_file(where: Path) -> Made:
    arrays = write_h5(where / "made.h5", 1, 51)
    images = arrays["sen2"].astype(np.float32).transpose(0, 3, 1, 2)
    return Made(DataConfig(str(where / "made.h5")), images, arrays["label"].argmax(1), NAMES, SEN2)


def so2sat_folder(where: Path) -> Made:
    """Write a folder of version 4: three parts with cities, to be read with both sensors."""
    cities = {"training": ("Rome", "Nairobi", "Lima"), "validation": ("Oslo", "Perth"), "testing": ("Oslo", "Perth")}
    found = [
        write_h5(where / f"{name}.h5", seed, 51 - 17 * seed, cities[name], ("city", "city", "cityList")[seed])
        for seed, name in enumerate(cities)
    ]
    both = [np.concatenate([arrays["sen1"], arrays["sen2"]], -1) for arrays in found]
    return Made(
        DataConfig(str(where), sensor="both"),
        np.concatenate(both).astype(np.float32).transpose(0, 3, 1, 2),
        np.concatenate([arrays["label"].argmax(1) for arrays in found]),
        NAMES,
        (*["VH_re", "VH_im", "VV_re", "VV_im", "VH_lee", "VV_lee", "C_re", "C_im"], *SEN2),
        ("train", "validation", "test"),
        np.array(
            [cities[name][row % len(cities[name])] for seed, name in enumerate(cities) for row in range(51 - 17 * seed)]
        ),
    )


MAKERS: tuple[Callable[[Path], Made], ...] = (folder, npz, npz_nhwc, so2sat_file, so2sat_folder)
