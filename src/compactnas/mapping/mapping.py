"""From scenes and a network to a map: block by block, in little memory, going on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from compactnas.data.rasters import require_rasterio
from compactnas.data.source import Progress
from compactnas.errors import UserError
from compactnas.io.atomic import write_json
from compactnas.mapping.block_store import BlockStore
from compactnas.mapping.config import Outputs
from compactnas.mapping.executor import Executor, fill, plan_map
from compactnas.mapping.executors.local import run_locally
from compactnas.mapping.job import FORMAT, MapJob, Warn, digest
from compactnas.mapping.legend import legend
from compactnas.mapping.outputs import write_outputs
from compactnas.runs.folder import sole_writer
from compactnas.version import __version__

DONE, PART = "map.json", "map.part"
"""Names of a finished map's files and of the folder in which a map grows."""


def make_map(
    job: MapJob, out: Path, outputs: Outputs, progress: Progress, warn: Warn, executor: Executor = run_locally
) -> dict[str, Any]:
    """Make a map, or go on with one that was stopped; gives what `map.json` holds.

    Args:
        job: what to map.
        out: folder to make.
        outputs: which files.
        progress: Function that receives the number of finished cells and their total.
        warn: Function that receives warnings about assumptions.
        executor: who judges the blocks.

    Errors:
        UserError: there is a map already or a part of another, the scenes do not go together or with the network, no
            cell can be judged, or whatever is wrong with a scene or the model.
    """
    require_rasterio("a map")
    if (out / DONE).exists():
        raise UserError(f"{out}: holds a map already; remove it, or name another folder with --output")
    began = time.monotonic()
    plan = plan_map(job)
    job, engine, place = plan.job, plan.engine, plan.place
    classes = legend(engine.classes, lcz=engine.lcz)
    for note in plan.notes:
        warn(note)
    store = BlockStore(out / PART, [(cells.rows, cells.columns) for cells in plan.blocks], len(classes))
    fingerprints = job.fingerprints()
    outputs = replace(outputs, name=outputs.name or job.scenes[0].resolve().stem)
    with _nothing_left(out, store), sole_writer(out / PART):
        store.claim(digest(fingerprints), fingerprints)
        correction = fill(store, plan, executor, progress, warn)
        made = write_outputs(out, out / PART, outputs, store, plan.blocks, place, classes)
    about = {
        "format": FORMAT,
        "compactnas": __version__,
        "model": job.model.resolve().name,
        "scenes": [path.resolve().name for path in job.scenes],
        "engine": type(engine).__name__,
        "fingerprints": fingerprints,
        "reading": [asdict(reading) | {"mask": Path(reading.mask).name} for reading in job.readings],
        "config": asdict(job.config),
        "bands": list(engine.bands),
        "crs": place.crs.to_string(),
        "transform": list(place.transform)[:6],
        **made,
        "notes": list(plan.notes),
        **({"dense": correction.figures} if correction else {}),
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(out / DONE, about)
    store.remove()
    return about


@contextmanager
def _nothing_left(out: Path, store: BlockStore) -> Iterator[None]:
    """Leave nothing behind if a mistake is found before the first block."""
    there = out.exists()
    try:
        yield
    except UserError:
        if not store.any():
            store.remove()
            with suppress(OSError):
                if not there:
                    out.rmdir()
        raise
