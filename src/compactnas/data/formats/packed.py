"""Read packed sets: patches in one memory-mapped array, gathered a batch at a time.

A packed set is a folder that numpy alone can open:

| file | content |
|---|---|
| `manifest.json` | everything else: sizes, names, divisor, statistics, checksums and source |
| `images.npy` | (patches, row, column, band), uint8, uint16 or float32 |
| `labels.npy` | (patches,) int64 |
| `groups.npy` | (patches,) int64, positions in the manifest's `groups`; only if there are groups |
| `epsg.npy`, `bounds.npy` | (patches,) int64 and (patches, 4) float64: left, bottom, right, top; only if known |
| `parts.npy` | (patches,) uint8, 0 for none, else 1 + the position in train, validation, test |
| `keys.txt` | name of each patch, one per line; only if there are names |

The value of a pixel is its number divided by the manifest's `divisor`. The format is plain `.npy` and JSON rather
than zarr, because a batch has rows from all over the set, so that chunks would be read and decompressed for patches
outside the batch, and because `numpy.load(..., mmap_mode="r")` opens the array in every environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import MOST_NAME_BYTES, MOST_PATCHES, names_of, require_finite, require_patch
from compactnas.data.checksums import sampled_sha256, whole_sha256
from compactnas.data.footprints import Footprints, checked_footprints
from compactnas.data.formats import DataFormat
from compactnas.data.npy import mapped
from compactnas.data.source import Facts, Images, Indices, band_positions, block_mean, reduced_px
from compactnas.data.split_csv import PARTS
from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.io.untrusted import read_text
from compactnas.labels.files import from_json
from compactnas.lcz import NAMES

MANIFEST_FORMAT = "compactnas-packed/1"
MANIFEST = "manifest.json"
DTYPES = ("uint8", "uint16", "float32")
LONGEST_KEY = 4096
"""Maximum length of a patch's name in bytes: the longest path of most systems."""
AGAIN = "make it again with `compactnas prepare`"


@dataclass(frozen=True)
class PackedSource:
    """Source that gathers patches from a memory-mapped array.

    Attributes:
        facts: Facts about the patches.
        stored: Memory-mapped numbers, (patches, row, column, band).
        divisor: Divisor that turns a stored number into its value.
        positions: Positions of the bands to keep.
        downsample: Side of the pixel blocks to average.
    """

    facts: Facts
    stored: NDArray[np.generic]
    divisor: int
    positions: list[int]
    downsample: int

    def gather(self, indices: Indices) -> NDArray[np.generic]:
        """Read the stored numbers of the bands to keep, (patches, row, column, band)."""
        numbers = self.stored[indices]
        return numbers if self.positions == list(range(numbers.shape[3])) else numbers[..., self.positions]

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        pixels = self.gather(indices)
        if pixels.dtype.kind == "f":
            require_finite(pixels, indices, f"{self.facts.name}: images.npy")
        if self.divisor != 1:
            pixels = np.divide(pixels, np.float32(self.divisor), dtype=np.float32)
        return block_mean(pixels.transpose(0, 3, 1, 2), self.downsample), self.facts.labels[indices]


def is_packed(path: Path) -> bool:
    """Check whether a folder has a manifest."""
    return (path / MANIFEST).is_file()


def open_packed(path: Path, bands: tuple[str, ...] = (), downsample: int = 1) -> PackedSource:
    """Open a packed set; labels and names are read, pixels are not.

    Raises:
        UserError: The manifest is missing or has another format, or a file does not match it.
    """
    manifest = _manifest(path / MANIFEST)
    patches, pixels, names = manifest["patches"], manifest["patch_px"], tuple(manifest["bands"])
    require_patch(pixels, len(names), str(path))
    stored = _array(path / "images.npy", (patches, pixels, pixels, len(names)), manifest["dtype"])
    labels = np.asarray(_array(path / "labels.npy", (patches,), "int64"))
    classes = tuple(manifest["classes"])
    named = int(labels.min()) >= 0 and int(labels.max()) < len(classes)
    _require(named, path / "labels.npy", "holds a class that has no name")
    positions = band_positions(names, bands, str(path))
    facts = Facts(
        name=manifest["name"],
        bands=tuple(names[position] for position in positions),
        classes=classes,
        patch_px=reduced_px(pixels, downsample, str(path)),
        labels=labels,
        groups=_groups(path, manifest, patches),
        footprints=_places(path, patches),
        parts=_parts(path, patches),
        keys=_keys(path, patches),
        lcz=classes == NAMES,
        label_files=from_json(manifest.get("label_files", []), f"{path / MANIFEST}: label_files"),
    )
    _require_checksums(path, manifest["files"], sampled_sha256, "sampled_sha256")
    return PackedSource(facts, stored, manifest["divisor"], positions, downsample)


def verify_packed(path: Path) -> str:
    """Compare the checksum of each file with the manifest; return a line that says so.

    Raises:
        UserError: A file differs.
    """
    files = _manifest(path / MANIFEST)["files"]
    _require_checksums(path, files, whole_sha256, "sha256")
    return f"checksums of {len(files)} files: as in the manifest"


def _require_checksums(path: Path, files: dict[str, Any], checksum: Callable[[Path], str], key: str) -> None:
    """Check files against the manifest; sets of older versions have no sampled checksums."""
    for name, known in files.items():
        file = path / name
        _require(Path(name).name == name and isinstance(known, dict), path / MANIFEST, "`files` has an invalid entry")
        if key in known:
            _require_inside(file)
            _require(file.is_file(), file, "is missing")
            _require(checksum(file) == known[key], file, "is not as it was written (copied in part, or changed)")


def _require(ok: bool, file: Path, what: str) -> None:
    if not ok:
        raise UserError(f"{file}: {what}; {AGAIN}")


def _require_inside(file: Path) -> None:
    """Refuse links out of the folder: a set from elsewhere could use them to expose the user's files."""
    try:
        inside = file.resolve().is_relative_to(file.parent.resolve())
    except (OSError, RuntimeError):  # a link to itself
        inside = False
    _require(inside, file, "is a link out of its folder")


KINDS: dict[str, type] = {
    "name": str,
    "patches": int,
    "patch_px": int,
    "bands": list,
    "classes": list,
    "dtype": str,
    "divisor": int,
    "files": dict,
}
"""Required keys of a manifest, with their types."""


def _manifest(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = read_json(file, AGAIN)
    _require(
        isinstance(values, dict) and values.get("format") == MANIFEST_FORMAT,
        file,
        f"is not of format {MANIFEST_FORMAT}",
    )
    for key, kind in KINDS.items():
        _require(type(values.get(key)) is kind, file, f"`{key}` is missing or not a {kind.__name__}")
    for key in ("bands", "classes", *(("groups",) if "groups" in values else ())):
        names = values[key]
        words = isinstance(names, list) and all(isinstance(name, str) for name in names)
        _require(words, file, f"`{key}` is not a list of names")
        _require(len(names) > 0 and len(set(names)) == len(names), file, f"`{key}` is empty or names one twice")
    for key in ("patches", "patch_px", "divisor"):
        _require(values[key] > 0, file, f"`{key}` is not above 0")
    _require(values["patches"] <= MOST_PATCHES, file, f"says {values['patches']} patches, more than {MOST_PATCHES}")
    _require(values["divisor"] <= 2**16, file, f"`divisor` is above {2**16}")
    _require(values["dtype"] in DTYPES, file, f"`dtype` must be one of {', '.join(DTYPES)}")
    return values


def _array(file: Path, shape: tuple[int, ...], dtype: str) -> NDArray[np.generic]:
    """Memory-map an array of exactly this shape and dtype; a forged header cannot make it allocate memory."""
    _require_inside(file)
    try:
        array = mapped(file)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error}); {AGAIN}") from None
    except ValueError as error:
        raise UserError(f"{file}: is not an array, or it is cut short ({error}); {AGAIN}") from None
    _require(array.shape == shape, file, f"has shape {array.shape}, the manifest says {shape}")
    _require(array.dtype == np.dtype(dtype), file, f"is of dtype {array.dtype}, the manifest says {dtype}")
    return array


def _groups(path: Path, manifest: dict[str, Any], patches: int) -> NDArray[np.character] | None:
    if "groups" not in manifest:
        return None
    names, file = manifest["groups"], path / "groups.npy"
    numbers = np.asarray(_array(file, (patches,), "int64"))
    _require(int(numbers.min()) >= 0 and int(numbers.max()) < len(names), file, "holds a group that has no name")
    return names_of(names, numbers, str(file))


def _places(path: Path, patches: int) -> Footprints | None:
    if not (path / "bounds.npy").exists():
        return None
    epsg, bounds = _array(path / "epsg.npy", (patches,), "int64"), _array(path / "bounds.npy", (patches, 4), "float64")
    return checked_footprints(np.asarray(epsg), np.asarray(bounds), f"{path / 'bounds.npy'}")


def _parts(path: Path, patches: int) -> dict[str, Indices]:
    file = path / "parts.npy"
    numbers = np.asarray(_array(file, (patches,), "uint8"))
    _require(int(numbers.max()) <= len(PARTS), file, f"holds a number above {len(PARTS)}")
    found = {part: np.flatnonzero(numbers == 1 + place) for place, part in enumerate(PARTS)}
    return {part: rows for part, rows in found.items() if len(rows)}


def _keys(path: Path, patches: int) -> list[str] | None:
    file = path / "keys.txt"
    if not file.exists():
        return None
    _require_inside(file)
    content = read_text(file, AGAIN, min(patches * LONGEST_KEY, MOST_NAME_BYTES // 2))
    # Count the lines before splitting: one name per byte would take fifty times as much memory.
    _require(content.count("\n") == patches, file, f"has {content.count(chr(10))} lines for {patches} patches")
    return content.split("\n")[:-1]


FORMAT = DataFormat(
    title="a packed set (`compactnas prepare`)",
    detect=is_packed,
    open=lambda config: open_packed(Path(config.path), config.bands, config.downsample),
    verify=lambda config: verify_packed(Path(config.path)),
)
