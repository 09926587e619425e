"""Write the files of a packed set besides its pixels: labels, groups, places, names and the manifest."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checksums import sampled_sha256, whole_sha256
from compactnas.data.formats.packed import MANIFEST, MANIFEST_FORMAT
from compactnas.data.packing.state import State
from compactnas.data.source import Facts
from compactnas.data.split_csv import PARTS
from compactnas.io.atomic import write_bytes, write_json
from compactnas.labels.files import to_json


def write_facts(facts: Facts, folder: Path) -> None:
    """Write labels, parts, groups, footprints and names."""
    _save(folder / "labels.npy", facts.labels)
    parts = np.zeros(len(facts.labels), np.uint8)
    for part, rows in facts.parts.items():
        parts[rows] = 1 + PARTS.index(part)
    _save(folder / "parts.npy", parts)
    if facts.groups is not None:
        _save(folder / "groups.npy", np.unique(facts.groups, return_inverse=True)[1].astype(np.int64).ravel())
    if facts.footprints is not None:
        _save(folder / "epsg.npy", facts.footprints.epsg)
        _save(folder / "bounds.npy", facts.footprints.bounds)
    if facts.keys is not None and not any("\n" in key or "\r" in key for key in facts.keys):
        write_bytes(folder / "keys.txt", "".join(f"{key}\n" for key in facts.keys).encode())


def _save(file: Path, array: NDArray[Any]) -> None:
    """Write a `.npy` file as all other files: numpy's own errors do not say that the disk is full."""
    content = BytesIO()
    np.save(content, array)
    write_bytes(file, content.getvalue())


def write_manifest(facts: Facts, state: State, folder: Path, known: dict[str, str]) -> None:
    """Write the manifest; `known` holds checksums that need not be computed again."""
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
        **({"label_files": to_json(facts.label_files)} if facts.label_files else {}),
        "parts": list(PARTS),
        "dtype": state.encoding.dtype,
        "divisor": state.encoding.divisor,
        "largest_rounding_error": state.error,
        "statistics": state.moments.by_band(facts.bands),
        "source": {"name": facts.name, "fingerprint": state.fingerprint},
        "files": {
            file.name: {
                "bytes": file.stat().st_size,
                "sha256": known.get(file.name) or whole_sha256(file),
                "sampled_sha256": sampled_sha256(file),
            }
            for file in files
        },
    }
    write_json(folder / MANIFEST, manifest)
