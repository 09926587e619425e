"""Images by class: a folder of subfolders, one for each class, of JPEG or PNG files of one size."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compactnas.data.source import Facts, Images, Indices, Source, band_positions, block_mean, reduced_px
from compactnas.errors import UserError
from compactnas.lcz import NAMES

BANDS = ("R", "G", "B")
SUFFIXES = {".jpg", ".jpeg", ".png"}
# Modes that turn into 8-bit RGB without a loss of colour; 16-bit and float pixels would be clipped.
MODES = {"RGB", "RGBA", "P", "L"}


@dataclass(frozen=True)
class FolderSource:
    """Patches decoded when they are asked for.

    Attributes:
        facts: what is known of them; `keys` are the files' paths inside `root`.
        root: the folder.
        pixels: side of the image files, before `reduce`.
        positions: bands to keep, as positions in `BANDS`.
        reduce: side of the block of pixels that is averaged into one.
    """

    facts: Facts
    root: Path
    pixels: int
    positions: list[int]
    reduce: int

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        keys = self.facts.keys
        assert keys is not None
        images = np.empty((len(indices), len(BANDS), self.pixels, self.pixels), np.uint8)
        for place, index in enumerate(indices):
            images[place] = _decode(self.root / keys[index], self.pixels).transpose(2, 0, 1)
        if self.positions != list(range(len(BANDS))):
            images = images[:, self.positions]
        return block_mean(images, self.reduce), self.facts.labels[indices]


def open_folder(root: Path, bands: tuple[str, ...] = (), reduce: int = 1) -> Source:
    """List a folder of images by class; classes and files in the order of their names.

    Errors:
        UserError: no class folders, a class folder without images, or a first image that is
            not a square JPEG or PNG. The other images are checked as they are decoded.
    """
    try:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        files = {folder: _images(folder) for folder in folders}
    except OSError as error:
        raise UserError(f"{root}: cannot be listed ({error.strerror})") from error
    if not folders:
        raise UserError(f"{root}: holds no class folders; put the images of each class in a subfolder of its name")
    for folder, found in files.items():
        if not found:
            raise UserError(f"{folder}: holds no .jpg, .jpeg or .png file; remove this class folder or fill it")
    positions = band_positions(BANDS, bands, str(root))
    pixels = _side(files[folders[0]][0])
    classes = tuple(folder.name for folder in folders)
    facts = Facts(
        name=root.name,
        bands=tuple(BANDS[position] for position in positions),
        classes=classes,
        patch_px=reduced_px(pixels, reduce, str(root)),
        labels=np.repeat(np.arange(len(folders)), [len(files[folder]) for folder in folders]).astype(np.int64),
        keys=[f"{folder.name}/{file.name}" for folder in folders for file in files[folder]],
        lcz=classes == NAMES,
    )
    return FolderSource(facts, root, pixels, positions, reduce)


def _images(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )


def _side(file: Path) -> int:
    image = _opened(file)
    with image:
        if image.width != image.height:
            raise UserError(f"{file}: is {image.width} x {image.height} pixels; patches must be square")
        return image.width


def _opened(file: Path) -> Image.Image:
    """The image with its header read and nothing decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file, formats=("JPEG", "PNG"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(f"{file}: is far too large for a patch; cut it into patches of one size") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise UserError(f"{file}: cannot be read as a JPEG or PNG image; replace or remove it") from error


def _decode(file: Path, pixels: int) -> NDArray[np.uint8]:
    with _opened(file) as image:
        # The size is compared before anything is decoded, so a huge image costs nothing.
        if image.size != (pixels, pixels):
            raise UserError(f"{file}: is {image.width} x {image.height} pixels, the first image {pixels} x {pixels}")
        if image.mode not in MODES:
            raise UserError(f"{file}: pixels of mode {image.mode} are not 8-bit colour; convert it to RGB")
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError, struct.error) as error:
            raise UserError(f"{file}: is damaged or cut short ({error}); replace or remove it") from error
