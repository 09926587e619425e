"""Images by class: a folder with a subfolder of JPEG, PNG or GeoTIFF files for each class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from compactnas.data.footprints import Footprints
from compactnas.data.formats import DataFormat
from compactnas.data.formats import _pictures as pictures
from compactnas.data.formats._pictures import Pictures
from compactnas.data.formats._tiffs import Tiffs
from compactnas.data.source import Facts, Images, Indices, Source, band_positions, block_mean, reduced_px
from compactnas.errors import UserError
from compactnas.lcz import NAMES
from compactnas.scenes.files import SUFFIXES


@runtime_checkable
class Reader(Protocol):
    """Reader of files that have the same kind and size as the first one."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        ...

    @property
    def pixels(self) -> int:
        """Side of an image in pixels."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the pixels."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions about the files, one line each."""
        ...

    def read(self, file: Path) -> NDArray[Any]:
        """Read the pixels of a file, (band, row, column); raise a UserError if it is damaged or unlike the first."""
        ...

    def footprints(self, files: list[Path]) -> Footprints | None:
        """Read the footprints of the files from their headers."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """Source that decodes patches on demand.

    Attributes:
        facts: Facts about the patches; `keys` are the paths of the files inside `root`.
        root: Folder of the classes.
        reader: Reader of the files.
        positions: Positions of the bands to keep.
        downsample: Side of the pixel blocks to average.
    """

    facts: Facts
    root: Path
    reader: Reader
    positions: list[int]
    downsample: int

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        keys, reader = self.facts.keys, self.reader
        assert keys is not None
        images = np.empty((len(indices), len(reader.bands), reader.pixels, reader.pixels), reader.dtype)
        for place, index in enumerate(indices):
            images[place] = reader.read(self.root / keys[index])
        if self.positions != list(range(len(reader.bands))):
            images = images[:, self.positions]
        return block_mean(images, self.downsample), self.facts.labels[indices]


def open_folder(root: Path, bands: tuple[str, ...] = (), downsample: int = 1) -> Source:
    """List a folder of images by class, with classes and files sorted by name.

    Raises:
        UserError: There are no class folders, a class folder has no images, images are of two kinds, or the
            first image is not square. The other images are checked as they are decoded.
    """
    try:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        files = {folder: _images(folder) for folder in folders}
    except OSError as error:
        raise UserError(f"{root}: cannot be listed ({error.strerror})") from error
    if not folders:
        raise UserError(f"{root}: has no class folders; put the images of each class into a subfolder with its name")
    for folder, found in files.items():
        if not found:
            raise UserError(f"{folder}: has no .jpg, .jpeg, .png or .tif file; add images or remove the folder")
    everything = [file for folder in folders for file in files[folder]]
    reader = _reader(everything)
    positions = band_positions(reader.bands, bands, str(root))
    classes = tuple(folder.name for folder in folders)
    facts = Facts(
        name=root.name,
        bands=tuple(reader.bands[position] for position in positions),
        classes=classes,
        patch_px=reduced_px(reader.pixels, downsample, str(root)),
        labels=np.repeat(np.arange(len(folders)), [len(files[folder]) for folder in folders]).astype(np.int64),
        footprints=reader.footprints(everything),
        keys=[f"{file.parent.name}/{file.name}" for file in everything],
        lcz=classes == NAMES,
        notes=tuple(f"{root}: {note}" for note in reader.notes),
    )
    return FolderSource(facts, root, reader, positions, downsample)


def _images(folder: Path) -> list[Path]:
    suffixes = pictures.SUFFIXES | SUFFIXES
    found = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")
    )
    for file in found:
        if file.exists() and not (file.is_file() or file.is_dir()):  # reading a pipe could block
            raise UserError(f"{file}: is not a file; remove it")
    return found


def _reader(files: list[Path]) -> Reader:
    geographic = [file.suffix.lower() in SUFFIXES for file in files]
    if len(set(geographic)) > 1:
        other = files[geographic.index(not geographic[0])]
        raise UserError(f"{other}: is of another kind than {files[0].name}; keep GeoTIFF and other images apart")
    return Tiffs(files[0]) if geographic[0] else Pictures(files[0])


FORMAT = DataFormat(
    title="a folder with a subfolder of images for each class",
    detect=Path.is_dir,
    open=lambda config: open_folder(Path(config.path), config.bands, config.downsample),
    fallback=True,
)
