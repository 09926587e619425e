"""Patches in one `.npz` archive of numpy arrays, as `np.savez` writes it.

| array | content |
|---|---|
| `images` | (patches, band, row, column), any real dtype; or (patches, row, column, band) with `layout` "NHWC" |
| `labels` | (patches,) integers from 0, or one-hot (patches, classes); without names, 1 to 17 are LCZ numbers |
| `class_names`, `band_names` | optional names |
| `filenames` | optional name of each patch; a CSV split keeps patches with the same name together |
| `group` | optional group (city, source image) of each patch |
| `epsg`, `bounds` | optional footprint of each patch: (patches,), and left, bottom, right, top, (patches, 4) |
| `split` or `split_spatial` | optional part of each patch: its name, or its position in `split_names` |
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import MOST_PATCHES, classes_of_one_hot, require_finite, require_patch
from compactnas.data.footprints import Footprints, checked_footprints
from compactnas.data.formats import DataFormat
from compactnas.data.npy import ZIP_ERRORS, read_entry
from compactnas.data.source import ArraySource, Facts, Indices, Source, band_positions, block_mean, reduced_px
from compactnas.data.split_csv import PARTS, WORDS
from compactnas.errors import UserError
from compactnas.labels.rasters import LETTER_A
from compactnas.lcz import BUILT, NAMES
from compactnas.scenes.bands import of_patches

Array = NDArray[np.generic]

CHUNK = 1024
MOST_RATIO = 100
"""Largest ratio of an archive's content to its size, above `SMALL_GIB`. Satellite images compress two- to tenfold."""
SMALL_GIB = 0.25
MOST_CLASSES = 10_000


class _Archive:
    """Arrays of an archive, read on demand; every fault becomes a `UserError`."""

    def __init__(self, path: Path, limit_gib: float) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self.sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        except ZIP_ERRORS as error:
            raise UserError(f"{path}: is not an .npz archive, or it is cut short; make it with np.savez") from error
        gib = sum(self.sizes.values()) / 2**30
        if gib > limit_gib:
            raise UserError(
                f"{path}: its images take {gib:.1f} GiB of memory; raise data.preload_gib, now {limit_gib:g}"
            )
        ratio = gib * 2**30 / max(1, path.stat().st_size)
        if gib > SMALL_GIB and ratio > MOST_RATIO:
            raise UserError(
                f"{path}: unpacks to {gib:.1f} GiB, {ratio:.0f} times its size, as no images do; if it is yours, write "
                "it with np.savez, without compression"
            )

    def read(self, name: str) -> Array:
        if name not in self.sizes:
            has = ", ".join(sorted(self.sizes)[:20]) or "none"
            raise UserError(f"{self.path}: has no array `{name}`; it has {has[:500]}")
        try:
            return read_entry(self.path, name)
        except ValueError as error:
            raise UserError(f"{self.path}: array `{name}` cannot be read ({error}); make the file again") from error

    def of_patches(self, name: str, patches: int) -> Array | None:
        """Read an optional array with one value for each patch."""
        if name not in self.sizes:
            return None
        values = self.read(name)
        if values.shape != (patches,):
            raise UserError(f"{self.path}: `{name}` has shape {values.shape}; it needs one value for {patches} patches")
        return values


def open_npz(path: Path, bands: tuple[str, ...] = (), downsample: int = 1, limit_gib: float = np.inf) -> Source:
    """Read a whole archive into memory.

    Raises:
        UserError: An array is missing, damaged, of the wrong shape, not finite or larger than `limit_gib`, or
            labels are not classes.
    """
    archive = _Archive(path, limit_gib)
    images = _images(archive)
    patches, channels, pixels, _ = images.shape
    labels, classes, notes = _labels(archive, patches)
    names = _band_names(archive, channels)
    positions = band_positions(names, bands, str(path))
    if positions != list(range(channels)):
        images = images[:, positions]
    groups, keys = archive.of_patches("group", patches), archive.of_patches("filenames", patches)
    facts = Facts(
        name=path.stem,
        bands=tuple(names[position] for position in positions),
        classes=classes,
        patch_px=reduced_px(pixels, downsample, str(path)),
        labels=labels,
        groups=None if groups is None else groups.astype(np.str_),
        footprints=_places(archive, patches),
        parts=_parts(archive, patches),
        keys=[f"{path.name}/{row}" for row in range(patches)] if keys is None else [str(key) for key in keys],
        lcz=classes == NAMES,
        notes=notes,
    )
    return ArraySource(facts, block_mean(images, downsample))


def _images(archive: _Archive) -> Array:
    """Read and check the pixels, (patches, band, row, column)."""
    images = archive.read("images")
    layout = str(archive.read("layout")).upper() if "layout" in archive.sizes else "NCHW"
    if layout not in ("NCHW", "NHWC"):
        raise UserError(f"{archive.path}: `layout` is {layout!r}; it can be NCHW or NHWC")
    if images.dtype.kind not in "uif":
        raise UserError(f"{archive.path}: `images` are of dtype {images.dtype}; they must be real numbers")
    if images.ndim == 4 and layout == "NHWC":
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[2] != images.shape[3] or not images.shape[1]:
        raise UserError(
            f"{archive.path}: `images` read as {layout} have shape {images.shape}; they must be (patches, band, row, "
            "column) and square, or have `layout` NHWC beside them"
        )
    if not len(images):
        raise UserError(f"{archive.path}: `images` hold no patch")
    if len(images) > MOST_PATCHES:
        raise UserError(f"{archive.path}: `images` are {len(images)} patches, more than {MOST_PATCHES}")
    require_patch(images.shape[2], images.shape[1], f"{archive.path}: `images`")
    if images.dtype.kind == "f":
        for start in range(0, len(images), CHUNK):
            part = images[start : start + CHUNK]
            require_finite(part, np.arange(start, start + len(part)), f"{archive.path}: `images`")
    return images


def _labels(archive: _Archive, patches: int) -> tuple[NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Read the class of each patch, the names of the classes, and notes on what was assumed."""
    where = f"{archive.path}: `labels`"
    values = archive.read("labels")
    if values.dtype.kind not in "uifb" or values.ndim not in (1, 2) or len(values) != patches:
        raise UserError(
            f"{where} are {values.dtype} of shape {values.shape}; give a class for each of {patches} images"
        )
    if values.ndim == 2:
        labels = classes_of_one_hot(values, where)
    else:
        with np.errstate(invalid="ignore"):  # NaN is refused next, by its row
            labels = values.astype(np.int64)
        if (labels != values).any():
            raise UserError(f"{where}, row {int((labels != values).argmax())}: is not a whole number")
    named = "class_names" in archive.sizes
    classes = tuple(map(str, archive.read("class_names").ravel())) if named else ()
    if values.ndim == 1:
        labels, classes, notes = _from_zero(labels, classes, where)
    else:
        classes, notes = classes or tuple(map(str, range(values.shape[1]))), ()
    wrong = (labels < 0) | (labels >= len(classes))
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(f"{where}, row {row}: class {labels[row]} is outside 0 to {len(classes) - 1}")
    return labels, classes, notes


def _from_zero(
    labels: NDArray[np.int64], classes: tuple[str, ...], where: str
) -> tuple[NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Recognise LCZ numbers, which count from 1, or have codes 101 to 107 for A to G; other labels count from 0."""
    codes = (labels >= LETTER_A) & (labels < LETTER_A + len(NAMES) - BUILT)
    numbers = np.where(codes, labels - (LETTER_A - BUILT - 1), labels)
    low, high = int(numbers.min()), int(numbers.max())
    if classes in ((), NAMES) and low >= 1 and high <= len(NAMES) and (codes.any() or high == len(NAMES)):
        how = "101 to 107 for A to G" if codes.any() else "since none is 0"
        return numbers - 1, NAMES, (f"{where}: read as LCZ numbers 1 to {len(NAMES)}, {how}",)
    high = int(labels.max())
    if not classes and high >= MOST_CLASSES:
        raise UserError(f"{where}: a class {high} without a name; give class_names, or labels from 0")
    return labels, classes or tuple(map(str, range(high + 1))), ()


def _band_names(archive: _Archive, channels: int) -> tuple[str, ...]:
    if "band_names" not in archive.sizes:
        return of_patches(channels)
    names = tuple(map(str, archive.read("band_names").ravel()))
    if len(names) != channels or len(set(names)) != channels:
        raise UserError(f"{archive.path}: `band_names` names {len(set(names))} bands; the images have {channels}")
    return names


def _places(archive: _Archive, patches: int) -> Footprints | None:
    if "bounds" not in archive.sizes:
        return None
    bounds, epsg = archive.read("bounds"), archive.of_patches("epsg", patches)
    if bounds.shape != (patches, 4) or bounds.dtype.kind not in "iuf" or epsg is None or epsg.dtype.kind not in "iu":
        raise UserError(
            f"{archive.path}: `bounds` need left, bottom, right, top of {patches} patches, and `epsg` codes"
        )
    return checked_footprints(epsg.astype(np.int64), bounds.astype(np.float64), f"{archive.path}: `bounds`")


def _parts(archive: _Archive, patches: int) -> dict[str, Indices]:
    """Read the official parts; empty if the archive has none."""
    name = "split" if "split" in archive.sizes else "split_spatial"
    values = archive.of_patches(name, patches)
    if values is None:
        return {}
    if values.dtype.kind in "iu":
        names = archive.read("split_names").ravel() if "split_names" in archive.sizes else np.array(PARTS)
        if values.min() < 0 or values.max() >= len(names):
            raise UserError(f"{archive.path}: `{name}` holds numbers outside 0 to {len(names) - 1}, the split names")
        values = names[values]
    words = [str(word).lower() for word in np.unique(values)]
    unknown = [word for word in words if word not in WORDS]
    if unknown:
        raise UserError(f"{archive.path}: `{name}` holds {unknown[0]!r}; it can hold train, validation, test")
    parts = np.array([WORDS[str(word).lower()] for word in values])
    return {part: np.flatnonzero(parts == part) for part in PARTS if (parts == part).any()}


FORMAT = DataFormat(
    title="an .npz file",
    detect=lambda path: path.is_file() and path.suffix == ".npz",
    open=lambda config: open_npz(Path(config.path), config.bands, config.downsample, config.preload_gib),
    streams=False,
)
