"""Make a map from scenes and a network, block by block, in little memory; a stopped map can be resumed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from compactnas.data.source import Progress
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.io.sole_writer import workplace
from compactnas.labels.files import to_json
from compactnas.mapping.block_store import BlockStore
from compactnas.mapping.config import Outputs
from compactnas.mapping.executor import Executor, fill, plan_map
from compactnas.mapping.executors.local import run_locally
from compactnas.mapping.job import FORMAT, MapJob, Warn, digest
from compactnas.mapping.legend import legend
from compactnas.mapping.outputs import write_outputs
from compactnas.mapping.overview import read_overview
from compactnas.scenes.files import require_rasterio
from compactnas.scenes.kinds import stem_of
from compactnas.version import __version__

DONE, PART = "map.json", "map.part"
"""Names of the description of a finished map and of the folder of an unfinished one."""
FINISHED = "{}: holds a map already; remove it, or name another folder with --output"


def make_map(
    job: MapJob, out: Path, outputs: Outputs, progress: Progress, warn: Warn, executor: Executor = run_locally
) -> dict[str, Any]:
    """Make a map, or resume one that was stopped; return the contents of `map.json`.

    Args:
        job: Model, scenes and options.
        out: Folder to create.
        outputs: Names of the files, and which of them to write.
        progress: Function that receives the number of finished cells and the number of all cells.
        warn: Function that receives warnings about assumptions.
        executor: Executor that computes the blocks.

    Raises:
        UserError: The folder holds a map or a part of another map, the scenes do not match each other or the network,
            no cell has enough valid pixels, or a scene or the model cannot be used.
    """
    require_rasterio("a map")
    if (out / DONE).exists() and not (out / PART).exists():
        raise UserError(FINISHED.format(out))
    began = time.monotonic()
    plan = plan_map(job)
    job, engine, place = plan.job, plan.engine, plan.place
    classes = legend(engine.task.classes, lcz=engine.task.lcz)
    for note in plan.notes:
        warn(note)
    store = BlockStore(out / PART, [(cells.rows, cells.columns) for cells in plan.blocks], len(classes))
    fingerprints = job.fingerprints()
    outputs = replace(outputs, name=outputs.name or stem_of(job.scenes[0].resolve()))
    new = not out.exists()
    with workplace(out / PART, also=(out,)), _nothing_left(out, store, new=new):
        if (out / DONE).exists():
            # A process was killed when it had finished the map, or another process has finished one meanwhile.
            store.remove()
            return _same_map(out, fingerprints)
        store.claim(digest(fingerprints), fingerprints)
        fill(store, plan, executor, progress, warn)
        overview = read_overview(job.scenes, job.readings[0], engine.task.bands, place)
        made = write_outputs(out, out / PART, outputs, store, plan.blocks, place, classes, overview)
        about = {
            "format": FORMAT,
            "compactnas": __version__,
            "model": job.model.resolve().name,
            "training": {"label_files": to_json(engine.task.label_files)},
            "scenes": [path.resolve().name for path in job.scenes],
            "engine": type(engine).__name__,
            "fingerprints": fingerprints,
            "reading": [asdict(reading) | {"mask": Path(reading.mask).name} for reading in job.readings],
            "config": asdict(job.config),
            "bands": list(engine.task.bands),
            "crs": place.crs.to_string(),
            "transform": list(place.transform)[:6],
            **made,
            "notes": list(plan.notes),
            "seconds": round(time.monotonic() - began, 1),
        }
        write_json(out / DONE, about)
        store.remove()
    return about


def _same_map(out: Path, fingerprints: dict[str, str]) -> dict[str, Any]:
    """Read the contents of `map.json` of the same model, scenes and options; raise a `UserError` for another map."""
    about = read_json(out / DONE, f"remove {out} to make the map again")
    if not isinstance(about, dict) or about.get("fingerprints") != fingerprints:
        raise UserError(FINISHED.format(out))
    return about


@contextmanager
def _nothing_left(out: Path, store: BlockStore, *, new: bool) -> Iterator[None]:
    """Remove the folders again if a user error occurs before the first block is finished; `out` only if it is new."""
    try:
        yield
    except UserError:
        if not store.any():
            with suppress(OSError, UserError):
                store.remove()
            with suppress(OSError):
                if new:
                    out.rmdir()
        raise
