"""Any source, streamed once into a packed set (`packed.py`): bounded memory, resumable, whole at the end or not there.

The set grows in a folder beside its place, `DEST.part`, and is moved there when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.config import SPLIT_FIELDS, DataConfig, PixelDtype
from compactnas.data.formats.packed import MANIFEST, MANIFEST_FORMAT
from compactnas.data.normalization import Moments
from compactnas.data.opening import open_streamed
from compactnas.data.packing.encoding import DoesNotFitError, Encoding
from compactnas.data.packing.npy_writer import NpyWriter
from compactnas.data.reflectance_checks import is_scaled_twice
from compactnas.data.source import Facts, Images, Indices, Progress, Source
from compactnas.data.split_csv import PARTS
from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes, write_json

CHUNK_BYTES = 2 * 2**20
"""Of the patches that are worked on at a time, as float32: few enough to stay in a core's cache."""
AHEAD = 4
"""Chunks that are made ready before they are written."""
SAMPLE = 64
"""Patches that are looked at before any is written."""
SAVE_EVERY_S = 1.0
STATE = "state.json"
SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class State:
    """How far a set has come.

    Attributes:
        fingerprint: of the source and of what is taken of it.
        encoding: of the pixels.
        rows: patches that are done.
        checksum: of the file of pixels up to there: a call that goes on trusts nothing else.
        error: largest rounding error so far.
        moments: of the patches so far.
    """

    fingerprint: str
    encoding: Encoding
    rows: int
    checksum: str
    error: float
    moments: Moments

    @classmethod
    def load(cls, file: Path) -> State | None:
        """The state of an interrupted preparation, None where there is none that can be read."""
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            encoding, moments = Encoding(**raw.pop("encoding")), Moments(**raw.pop("moments"))
            return cls(encoding=encoding, moments=moments, **raw)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def prepare(
    config: DataConfig, destination: Path, dtype: PixelDtype = "auto", progress: Progress | None = None
) -> Path:
    """Write the patches that a config names as a packed set; goes on where an earlier call was stopped.

    Args:
        config: of the source; its split is not used.
        destination: folder to make.
        dtype: of the stored numbers; `auto` takes the narrowest that loses at most 5e-5.
        progress: hears how far it is.

    Errors:
        UserError: the destination is there already, the disk is too small, a value does not fit the
            dtype that was asked for, or whatever the source finds wrong.
    """
    how = {name: value for name, value in asdict(config).items() if name not in ("path", "preload_gib", *SPLIT_FIELDS)}
    _require_free(destination)
    source = open_streamed(config)
    return pack(source, destination, dtype, progress, fingerprint_of(Path(config.path), how | {"dtype": dtype}))


def pack(
    source: Source,
    destination: str | Path,
    dtype: PixelDtype = "auto",
    progress: Progress | None = None,
    fingerprint: str = "",
) -> Path:
    """Write the patches of any source as a packed set; `prepare` is this for what a config names.

    Args:
        source: read once, in order.
        destination: folder to make.
        dtype: of the stored numbers.
        progress: hears how far it is.
        fingerprint: of the source; a call that was stopped goes on only for the same one. Empty never does.

    Errors:
        UserError: as `prepare`.
    """
    destination = Path(destination)
    _require_free(destination)
    try:
        return _pack(source, destination, fingerprint, dtype, progress)
    except DoesNotFitError:
        if dtype != "auto":
            raise UserError(f"{source.facts.name}: holds values that {dtype} cannot; leave dtype at auto") from None
        return _pack(source, destination, fingerprint, "float32", progress)


def _require_free(destination: Path) -> None:
    if destination.exists():
        raise UserError(f"{destination}: is there already; remove it, or name another folder")


def fingerprint_of(path: Path, taken: dict[str, Any]) -> str:
    """Hash of names, sizes and times of a source's files, and of what is taken of them."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    return hashlib.sha256(json.dumps([found, taken]).encode()).hexdigest()


def _pack(source: Source, destination: Path, fingerprint: str, dtype: PixelDtype, progress: Progress | None) -> Path:
    facts = source.facts
    folder = destination.with_name(f"{destination.name}.part")
    file, shape = folder / "images.npy", (len(facts.labels), facts.patch_px, facts.patch_px, len(facts.bands))
    sample, _ = source.batch(np.unique(np.linspace(0, len(facts.labels) - 1, SAMPLE).astype(np.int64)))
    if dtype != "float32" and is_scaled_twice(facts, sample):
        middle = np.median(sample.astype(np.float64))
        raise UserError(
            f"{facts.name}: the median of a sample is {middle:.1e}: reflectance that was divided by 10000 twice? "
            "Multiply it again, or keep it as it is with --dtype float32"
        )
    encoding = Encoding.of(sample.dtype, dtype)
    state, array = State.load(folder / STATE), None
    if state and fingerprint and state.fingerprint == fingerprint and dtype in ("auto", state.encoding.dtype):
        array = NpyWriter.resumed(file, shape, state.encoding.dtype, state.rows, state.checksum)
    if state is None or array is None:
        state = State(fingerprint, encoding, 0, "", 0.0, Moments.none(len(facts.bands)))
        _make_room(folder, facts, encoding)
        array = NpyWriter.begun(file, shape, encoding.dtype)
    make = _ready(source, state.encoding, _about(sample, state.encoding))
    with array:
        state = _stream(make, facts, array, state, folder / STATE, progress)
    _write_facts(facts, folder)
    _write_manifest(facts, state, folder, {file.name: array.checksum})
    folder.rename(destination)
    (destination / STATE).unlink(missing_ok=True)
    return destination


def _make_room(folder: Path, facts: Facts, encoding: Encoding) -> None:
    """An empty folder on a disk that can take the set."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    needed = len(facts.labels) * facts.patch_px**2 * len(facts.bands) * np.dtype(encoding.dtype).itemsize
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        folder.rmdir()
        raise UserError(
            f"{folder.parent}: {free / 2**30:.1f} GiB are free and the set takes {needed / 2**30:.1f}; free some"
        )


def _chunks(facts: Facts, first: int) -> Iterator[Indices]:
    rows = max(1, CHUNK_BYTES // (4 * facts.patch_px**2 * len(facts.bands)))
    for start in range(first, len(facts.labels), rows):
        yield np.arange(start, min(start + rows, len(facts.labels)))


def _stream(make: Make, facts: Facts, array: NpyWriter, state: State, file: Path, progress: Progress | None) -> State:
    """All that is left, in order: chunks are read and made ready by a thread of their own, and written by this one."""
    saved = time.monotonic()
    for ready in _in_order(make, _chunks(facts, state.rows)):
        array.add(ready.numbers)
        state = replace(
            state,
            rows=state.rows + len(ready.numbers),
            error=max(state.error, ready.error),
            moments=state.moments.joined(ready.moments),
        )
        if time.monotonic() - saved > SAVE_EVERY_S:
            write_json(file, asdict(replace(state, checksum=array.checksum)))
            saved = time.monotonic()
        if progress is not None:
            progress(state.rows, len(facts.labels))
    return state


class _Ready(NamedTuple):
    """A chunk as it is stored, its rounding error, and the moments of what is stored."""

    numbers: NDArray[Any]
    error: float
    moments: Moments


Make = Callable[[Indices], _Ready]
"""Reads a chunk and makes it ready."""


def _about(sample: Images, encoding: Encoding) -> list[float] | None:
    """Whole numbers near the means of the bands: the sums of distances from them are exact. None for numbers that are
    not whole.
    """
    if encoding.dtype == "float32":
        return None
    whole: list[float] = np.rint(sample.mean((0, 2, 3), dtype=np.float64) * encoding.divisor).tolist()
    return whole


def _ready(source: Source, encoding: Encoding, about: list[float] | None) -> Make:
    """What reads a chunk and makes it ready."""

    def make(rows: Indices) -> _Ready:
        images, _ = source.batch(rows)
        numbers, error = encoding.encode(images)
        moments = Moments.of(numbers, about).scaled(1 / encoding.divisor)
        return _Ready(np.ascontiguousarray(numbers.transpose(0, 2, 3, 1)), error, moments)

    return make


def _in_order(make: Make, chunks: Iterator[Indices]) -> Iterator[_Ready]:
    """What is made of each chunk, some ahead, in the chunks' order."""
    with ThreadPoolExecutor(1) as reader:  # a source is read by one thread at a time
        waiting = deque(reader.submit(make, rows) for rows in islice(chunks, AHEAD))
        try:
            while waiting:
                ready = waiting.popleft().result()
                waiting.extend(reader.submit(make, rows) for rows in islice(chunks, 1))
                yield ready
        finally:
            for future in waiting:
                future.cancel()


def _write_facts(facts: Facts, folder: Path) -> None:
    np.save(folder / "labels.npy", facts.labels)
    parts = np.zeros(len(facts.labels), np.uint8)
    for part, rows in facts.parts.items():
        parts[rows] = 1 + PARTS.index(part)
    np.save(folder / "parts.npy", parts)
    if facts.groups is not None:
        np.save(folder / "groups.npy", np.unique(facts.groups, return_inverse=True)[1].astype(np.int64).ravel())
    if facts.footprints is not None:
        np.save(folder / "epsg.npy", facts.footprints.epsg)
        np.save(folder / "bounds.npy", facts.footprints.bounds)
    if facts.keys is not None and not any("\n" in key or "\r" in key for key in facts.keys):
        write_bytes(folder / "keys.txt", "".join(f"{key}\n" for key in facts.keys).encode())


def _write_manifest(facts: Facts, state: State, folder: Path, known: dict[str, str]) -> None:
    """The manifest; `known` are checksums that need not be computed again."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".npy", ".txt"))
    groups = {} if facts.groups is None else {"groups": [str(name) for name in np.unique(facts.groups)]}
    manifest = {
        "format": MANIFEST_FORMAT,
        "name": facts.name,
        "patches": len(facts.labels),
        "patch_px": facts.patch_px,
        "bands": list(facts.bands),
        "classes": list(facts.classes),
        **groups,
        "parts": list(PARTS),
        "dtype": state.encoding.dtype,
        "divisor": state.encoding.divisor,
        "largest_rounding_error": state.error,
        "statistics": state.moments.by_band(facts.bands),
        "source": {"name": facts.name, "fingerprint": state.fingerprint},
        "files": {
            file.name: {"bytes": file.stat().st_size, "sha256": known.get(file.name) or _sha256(file)} for file in files
        },
    }
    write_json(folder / MANIFEST, manifest)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
