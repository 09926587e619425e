"""Data sources with accidental damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from compactnas.config import DataConfig
from support.data_files import folder, integers, npz, so2sat_file, so2sat_folder


def edit(change: Callable[[h5py.File], None]) -> Callable[[Path], DataConfig]:
    """Return a function that makes a So2Sat file and changes it."""

    def make(where: Path) -> DataConfig:
        config = so2sat_file(where).config
        with h5py.File(config.path, "a") as file:
            change(file)
        return config

    return make


def put(key: str, values: Callable[[h5py.File], object]) -> Callable[[Path], DataConfig]:
    def change(file: h5py.File) -> None:
        new = values(file)
        if key in file:
            del file[key]
        file[key] = new

    return edit(change)


def changed(key: str, place: tuple[int, ...], value: float) -> Callable[[Path], DataConfig]:
    def change(file: h5py.File) -> None:
        file[key][place] = value

    return edit(change)


def arrays(**changes: object) -> Callable[[Path], DataConfig]:
    """Return a function that makes an archive with some arrays replaced, or left out if None."""

    def make(where: Path) -> DataConfig:
        config = npz(where).config
        with np.load(config.path) as data:
            content = {**data, **changes}
        np.savez(config.path, **{name: values for name, values in content.items() if values is not None})
        return config

    return make


def content(name: str, data: bytes, format: str = "auto") -> Callable[[Path], DataConfig]:
    def make(where: Path) -> DataConfig:
        (where / name).write_bytes(data)
        return DataConfig(str(where / name), format=format)

    return make


def cut_short(make: Callable[[Path], object], name: str, share: float) -> Callable[[Path], DataConfig]:
    def shortened(where: Path) -> DataConfig:
        config = make(where).config
        path = where / name
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        return config

    return shortened


def image(name: str, save: Callable[[Path], object]) -> Callable[[Path], DataConfig]:
    """Return a function that makes a folder of images with one more file."""

    def make(where: Path) -> DataConfig:
        config = folder(where).config
        path = Path(config.path) / name
        path.parent.mkdir(exist_ok=True)
        save(path)
        return config

    return make


def grey(shape: tuple[int, int], dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.zeros(shape, dtype))


def linked_outside(where: Path) -> DataConfig:
    config = so2sat_file(where).config
    with h5py.File(where / "other.h5", "w") as other, h5py.File(config.path, "a") as file:
        other["sen2"] = file["sen2"][()]
        del file["sen2"]
        file["sen2"] = h5py.ExternalLink("other.h5", "sen2")
    return config


def geo_of_another_size(where: Path) -> DataConfig:
    config = so2sat_folder(where).config
    with h5py.File(where / "training_geo.h5", "w") as file:
        file["city"] = np.array([b"Rome"] * 7)
    return config


def two_sizes(where: Path) -> DataConfig:
    config = so2sat_folder(where).config
    with h5py.File(where / "testing.h5", "a") as file:
        for key, bands in (("sen1", 8), ("sen2", 10)):
            del file[key]
            file[key] = np.zeros((17, 4, 4, bands))
    return config


def nothing(where: Path) -> DataConfig:
    return DataConfig(str(where))


def far_pixels(file: h5py.File) -> object:
    values = file["sen2"][()]
    values[13, 2, 2, 4] = 1e300  # infinite as float32
    return values


LABELS = np.arange(40) % 4


PICTURES = integers(40, 4)


BROKEN: dict[str, tuple[Callable[[Path], DataConfig], str]] = {
    "no path": (lambda _: DataConfig(), "data.path: is not set"),
    "nothing there": (lambda where: DataConfig(str(where / "no.h5")), "does not exist"),
    "a sensor of an archive": (
        lambda where: replace(npz(where).config, sensor="both"),
        "data.sensor: 'both' is an option of the format `so2sat`",
    ),
    # So2Sat
    "empty file": (content("a.h5", b""), "a.h5: is not an HDF5 file"),
    "text": (content("a.h5", b"hello" * 99), "a.h5: is not an HDF5 file"),
    "some other file": (content("a.bin", b"hello" * 99), "a.bin is unknown; give one of"),
    "a folder for a file": (lambda where: DataConfig(str(where), format="so2sat"), "holds none of training.h5"),
    "foreign file": (edit(lambda file: [file.pop(key) for key in list(file)]), "has no `label`; it has nothing"),
    "no sensor": (edit(lambda file: file.pop("sen2")), "has no `sen2`; it has label, sen1"),
    "a group for a sensor": (
        put("sen2", lambda file: h5py.SoftLink("/label")),
        "`sen2` is not a data set of this file",
    ),
    "link to outside": (linked_outside, "`sen2` is not a data set of this file"),
    "text for labels": (put("label", lambda _: [b"a", b"b"]), "`label` is of dtype"),
    "9 classes": (put("label", lambda _: np.eye(9)), "label has shape (9, 9); So2Sat's is (patches, 17)"),
    "no patch": (put("label", lambda _: np.zeros((0, 17))), "holds no patch"),
    "two ones": (changed("label", (7, 0), 1), "label, row 7: is not one-hot"),
    "no one": (changed("label", (3, 3), 0), "label, row 3: is not one-hot"),
    "a half": (changed("label", (3, 3), 0.5), "label, row 3: is not one-hot"),
    "NaN label": (changed("label", (3, 1), np.nan), "label, row 3: is not one-hot"),
    "fewer images": (put("sen2", lambda file: file["sen2"][:50]), "as many patches as label, 51"),
    "band first": (put("sen2", lambda file: file["sen2"][()].transpose(0, 3, 1, 2)), "sen2 has shape (51, 10, 8, 8)"),
    "13 bands": (put("sen2", lambda _: np.zeros((51, 8, 8, 13))), "sen2 has shape (51, 8, 8, 13)"),
    "flat pixels": (put("sen2", lambda _: np.zeros((51, 640))), "sen2 has shape (51, 640)"),
    "NaN pixel": (changed("sen2", (13, 2, 2, 4), np.nan), "sen2, row 13: holds NaN or infinite pixels"),
    "too large for float32": (put("sen2", far_pixels), "sen2, row 13: holds NaN or infinite pixels"),
    "cities of others": (geo_of_another_size, "training_geo.h5: city has 7 values; training.h5 has 51 patches"),
    "two patch sizes": (two_sizes, "patches of [4, 8] pixels"),
    "cut in the header": (cut_short(so2sat_file, "made.h5", 0.001), "is not an HDF5 file, or it is cut short"),
    "cut in the middle": (cut_short(so2sat_file, "made.h5", 0.5), "is not an HDF5 file, or it is cut short"),
    "cut at the end": (cut_short(so2sat_file, "made.h5", 0.99), "is not an HDF5 file, or it is cut short"),
    # npz
    "text for an archive": (content("a.npz", b"hello"), "a.npz: is not an .npz archive"),
    "cut archive": (cut_short(npz, "set.npz", 0.6), "is not an .npz archive, or it is cut short"),
    "no images": (arrays(images=None), "has no array `images`; it has band_names"),
    "no labels": (arrays(labels=None), "has no array `labels`"),
    "pickled labels": (arrays(labels=np.array([{}] * 40, object)), "array `labels` cannot be read"),
    "flat images": (arrays(images=np.zeros((40, 4))), "have shape (40, 4)"),
    "NHWC unsaid": (arrays(images=PICTURES.transpose(0, 2, 3, 1)), "have `layout` NHWC beside them"),
    "unknown layout": (arrays(layout=np.array("CHWN")), "`layout` is 'CHWN'"),
    "complex images": (arrays(images=PICTURES * 1j), "of dtype complex128"),
    "no patches": (arrays(images=PICTURES[:0]), "hold no patch"),
    "NaN in labels": (
        arrays(images=PICTURES, labels=np.where(np.arange(40) == 9, np.nan, np.arange(40) % 3)),
        "`labels`, row 9: is not a whole number",
    ),
    "float64 beyond float32": (
        arrays(images=np.where(np.arange(40)[:, None, None, None] == 9, 1e39, PICTURES.astype(np.float64))),
        "`images`, row 9: holds pixels of more than 3.4e+38, the largest number of float32; repair it",
    ),
    "NaN in images": (
        arrays(images=np.where(np.arange(40)[:, None, None, None] == 9, np.nan, PICTURES)),
        "row 9: holds",
    ),
    "too few labels": (arrays(labels=LABELS[:39]), "give a class for each of 40 images"),
    "words for labels": (arrays(labels=LABELS.astype(str)), "give a class for each of 40 images"),
    "negative label": (arrays(labels=LABELS - 1), "row 0: class -1 is outside 0 to 3"),
    "label past the names": (arrays(labels=LABELS + 1), "row 3: class 4 is outside 0 to 3"),
    "fractional label": (arrays(labels=LABELS + 0.5), "row 0: is not a whole number"),
    "one-hot of two": (arrays(labels=np.ones((40, 4))), "row 0: is not one-hot"),
    "one-hot past the names": (arrays(labels=np.eye(40)), "row 4: class 4 is outside"),
    "too few bands named": (arrays(band_names=np.array(["a", "b"])), "`band_names` names 2 bands; the images have 4"),
    "groups of another size": (arrays(group=np.arange(3)), "`group` has shape (3,)"),
    "unknown part": (arrays(split=np.array(["train", "dev"] * 20)), "`split` holds 'dev'"),
    "part past the names": (arrays(split=np.full(40, 5)), "`split` holds numbers outside 0 to 2"),
    # Images
    "empty folder": (nothing, "has no class folders"),
    "class without images": (image("empty/readme.txt", lambda path: path.write_text("")), "has no .jpg"),
    "not an image": (image("sea/x.png", lambda path: path.write_bytes(b"hello")), "x.png: cannot be read as a JPEG"),
    "empty image": (image("sea/x.jpg", lambda path: path.write_bytes(b"")), "x.jpg: cannot be read as a JPEG"),
    "a GIF named png": (image("sea/x.png", lambda path: grey((8, 8)).save(path, "GIF")), "cannot be read as a JPEG"),
    "another size": (
        image("sea/x.png", lambda path: grey((9, 8)).save(path)),
        "is 8 x 9 pixels, the first image 8 x 8",
    ),
    "first not square": (image("a/x.png", lambda path: grey((9, 8)).save(path)), "patches must be square"),
    "16 bits": (image("sea/x.png", lambda path: grey((8, 8), np.uint16).save(path)), "are not 8-bit colour"),
    "cut image": (cut_short(folder, "images/sea/015.png", 0.7), "015.png: "),
    "a folder named png": (image("sea/x.png/y.png", lambda path: None), "x.png: cannot be read as a JPEG"),
}
