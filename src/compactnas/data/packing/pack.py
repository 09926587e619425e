"""Stream a source into a packed set (`formats/packed.py`) with bounded memory; resumable and atomic.

The set grows in the folder `DEST.part/set`, which is renamed to `DEST` when the set is complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.config import SPLIT_FIELDS, DataConfig, PixelDtype
from compactnas.data.normalization import Moments
from compactnas.data.opening import open_streamed
from compactnas.data.packing.encoding import DoesNotFitError, Encoding
from compactnas.data.packing.npy_writer import NpyWriter
from compactnas.data.packing.state import State
from compactnas.data.packing.writing import write_facts, write_manifest
from compactnas.data.reflectance_checks import is_scaled_twice
from compactnas.data.source import Facts, Images, Indices, Progress, Source
from compactnas.errors import UserError
from compactnas.io.atomic import write_json
from compactnas.io.sole_writer import LOCK, OWNER, remove_workplace, require_own, workplace

CHUNK_BYTES = 2 * 2**20
"""Size of a chunk of patches as float32: small enough for the cache of a core."""
AHEAD = 4
"""Number of chunks to encode ahead of writing."""
SAMPLE = 64
"""Number of patches to check before writing any."""
SAVE_EVERY_S = 1.0
STATE, SET = "state.json", "set"
"""Names inside the work folder: the progress, and the set that grows."""
SPARE_BYTES = 64 * 2**20


def prepare(
    config: DataConfig, destination: str | Path, dtype: PixelDtype = "auto", progress: Progress | None = None
) -> Path:
    """Write the patches that a config names as a packed set; resume an interrupted call.

    Args:
        config: Config of the source; the split is ignored.
        destination: Folder to create.
        dtype: Dtype of the stored numbers; `auto` uses the narrowest one with an error of at most 5e-5.
        progress: Called with the finished and the total number of patches.

    Raises:
        UserError: The destination exists, the disk is too small, a value does not fit the dtype, or the source is
            broken.
    """
    how = {name: value for name, value in asdict(config).items() if name not in ("path", "preload_gib", *SPLIT_FIELDS)}
    fingerprint = fingerprint_of(Path(config.path), how | {"dtype": dtype})
    _require_free(Path(destination), fingerprint)
    return pack(open_streamed(config), destination, dtype, progress, fingerprint)


def pack(
    source: Source,
    destination: str | Path,
    dtype: PixelDtype = "auto",
    progress: Progress | None = None,
    fingerprint: str = "",
) -> Path:
    """Write the patches of any source as a packed set; `prepare` does this for a config.

    Args:
        source: Source, which is read once and in order.
        destination: Folder to create.
        dtype: Dtype of the stored numbers.
        progress: Called with the finished and the total number of patches.
        fingerprint: Fingerprint of the source. An interrupted call is resumed only if it matches, and never if empty.

    Raises:
        UserError: As for `prepare`.
    """
    destination = Path(destination)
    work = _work_of(destination)
    _require_free(destination, fingerprint)
    with workplace(work, also=[work / SET]), _nothing_left(work):
        if not _is_finished(destination, fingerprint):  # a killed call may have left only the work folder to remove
            _require_free(destination)
            try:
                _pack(source, work, destination, fingerprint, dtype, progress)
            except DoesNotFitError:
                if dtype != "auto":
                    raise UserError(
                        f"{source.facts.name}: has values that do not fit {dtype}; use --dtype auto"
                    ) from None
                _pack(source, work, destination, fingerprint, "float32", progress)
        remove_workplace(work, last=STATE)
    return destination


@contextmanager
def _nothing_left(work: Path) -> Iterator[None]:
    """Remove the work folder again if an error occurs before any patch is written."""
    try:
        yield
    except BaseException:
        if not (work / STATE).exists():
            with suppress(OSError, UserError):
                remove_workplace(work)
        raise


def _work_of(destination: Path) -> Path:
    """Folder beside the destination in which the set grows."""
    return destination.with_name(f"{destination.name}.part")


def _is_finished(destination: Path, fingerprint: str) -> bool:
    """Check whether a call with this fingerprint was killed after the set was complete."""
    state = State.load(_work_of(destination) / STATE)
    return destination.exists() and state is not None and bool(fingerprint) and state.fingerprint == fingerprint


def _require_free(destination: Path, fingerprint: str = "") -> None:
    if destination.exists() and not _is_finished(destination, fingerprint):
        work = _work_of(destination)
        if work.is_dir() and {file.name for file in work.iterdir()} <= {LOCK, OWNER}:
            shutil.rmtree(work, ignore_errors=True)  # left by a call that was killed at its very end
        raise UserError(f"{destination}: exists already; remove it, or choose another folder")


def fingerprint_of(path: Path, taken: dict[str, Any]) -> str:
    """Hash names, sizes and times of the files of a source, and the options."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    return hashlib.sha256(json.dumps([found, taken]).encode()).hexdigest()


def _pack(
    source: Source, work: Path, destination: Path, fingerprint: str, dtype: PixelDtype, progress: Progress | None
) -> None:
    """Write the set into a work folder, and rename it to its destination."""
    facts = source.facts
    folder, progress_file = work / SET, work / STATE
    file, shape = folder / "images.npy", (len(facts.labels), facts.patch_px, facts.patch_px, len(facts.bands))
    sample, _ = source.batch(np.unique(np.linspace(0, len(facts.labels) - 1, SAMPLE).astype(np.int64)))
    if dtype != "float32" and is_scaled_twice(facts, sample):
        middle = np.median(sample.astype(np.float64))
        raise UserError(
            f"{facts.name}: the median of a sample is {middle:.1e}: reflectance that was divided by 10000 twice? "
            "Multiply it by 10000, or keep it as it is with --dtype float32"
        )
    encoding = Encoding.of(sample.dtype, dtype)
    state, array = State.load(progress_file), None
    if state and fingerprint and state.fingerprint == fingerprint and dtype in ("auto", state.encoding.dtype):
        array = NpyWriter.resumed(file, shape, state.encoding.dtype, state.rows, state.checksum)
    if state is None or array is None:
        state = State(fingerprint, encoding, 0, "", 0.0, Moments.none(len(facts.bands)))
        _make_room(folder, facts, encoding)
        array = NpyWriter.begun(file, shape, encoding.dtype)
    make = _ready(source, state.encoding, _about(sample, state.encoding))
    with array:
        state = _stream(make, facts, array, state, progress_file, progress)
    write_facts(facts, folder)
    write_manifest(facts, state, folder, {file.name: array.checksum})
    write_json(progress_file, asdict(replace(state, checksum=array.checksum)))
    require_own(folder)
    folder.rename(destination)


def _make_room(folder: Path, facts: Facts, encoding: Encoding) -> None:
    """Create an empty folder; raise a UserError if the disk has no room for the set."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    needed = len(facts.labels) * facts.patch_px**2 * len(facts.bands) * np.dtype(encoding.dtype).itemsize
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        folder.rmdir()
        raise UserError(
            f"{folder.parent}: {free / 2**30:.1f} GiB are free, but the set needs {needed / 2**30:.1f}; free some"
        )


def _chunks(facts: Facts, first: int) -> Iterator[Indices]:
    rows = max(1, CHUNK_BYTES // (4 * facts.patch_px**2 * len(facts.bands)))
    for start in range(first, len(facts.labels), rows):
        yield np.arange(start, min(start + rows, len(facts.labels)))


def _stream(make: Make, facts: Facts, array: NpyWriter, state: State, file: Path, progress: Progress | None) -> State:
    """Write the remaining patches in order; one thread reads and encodes chunks, this one writes them."""
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
    """Encoded chunk, its rounding error and its moments."""

    numbers: NDArray[Any]
    error: float
    moments: Moments


Make = Callable[[Indices], _Ready]
"""Function that reads and encodes a chunk."""


def _about(sample: Images, encoding: Encoding) -> list[float] | None:
    """Return whole numbers near the band means, since sums of distances from them are exact; None for floats."""
    if encoding.dtype == "float32":
        return None
    whole: list[float] = np.rint(sample.mean((0, 2, 3), dtype=np.float64) * encoding.divisor).tolist()
    return whole


def _ready(source: Source, encoding: Encoding, about: list[float] | None) -> Make:
    """Return the function that reads and encodes a chunk."""

    def make(rows: Indices) -> _Ready:
        images, _ = source.batch(rows)
        numbers, error = encoding.encode(images)
        moments = Moments.of(numbers, about).scaled(1 / encoding.divisor)
        return _Ready(np.ascontiguousarray(numbers.transpose(0, 2, 3, 1)), error, moments)

    return make


def _in_order(make: Make, chunks: Iterator[Indices]) -> Iterator[_Ready]:
    """Yield the encoded chunks in order; the next ones are encoded ahead."""
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
