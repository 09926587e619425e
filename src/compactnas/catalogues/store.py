"""Keep the finished blocks of a scene next to its file, so that an interrupted scene can be resumed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16

from compactnas.catalogues.items import Observation, require_remote
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.io.sole_writer import remove_workplace, workplace
from compactnas.scenes.scene import Window

ABOUT, FOUND = "about.json", "found.json"
NUMBER = np.dtype("<u2")

Block = UInt16[np.ndarray, "bands rows columns"]


class SceneStore:
    """Folder with the unfinished work on one scene.

    Args:
        folder: The folder.
        bands: Number of bands.
    """

    def __init__(self, folder: Path, bands: int) -> None:
        self.folder, self._bands = folder, bands

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of the folder, which is created, and removed again if it stays empty.

        Raises:
            UserError: Another process works on this scene.
        """
        created = [folder for folder in self.folder.parents if not folder.exists()]
        with workplace(self.folder):
            try:
                yield
            finally:
                if not (self.folder / FOUND).exists():
                    with suppress(OSError, UserError):  # a finished scene has removed it already
                        self.remove()
                    with suppress(OSError):  # the file of a finished scene is in the first of them
                        for folder in created:
                            folder.rmdir()

    def claim(self, options: dict[str, Any]) -> None:
        """Reserve the folder for a scene with these options, or check that it belongs to it.

        Raises:
            UserError: The folder holds a part of another scene.
        """
        file = self.folder / ABOUT
        if not file.exists():
            write_json(file, options)
            return
        before = read_json(file, f"remove {self.folder} to start again")
        if before == options:
            return
        known = before if isinstance(before, dict) else {}
        names = [name for name in options if known.get(name) != options[name]]
        differs = ", ".join(f"{name} {known.get(name)!r}, not {options[name]!r}" for name in names[:3])
        raise UserError(
            f"{self.folder}: holds part of another scene ({differs[:300]}); give the same command again, remove the "
            "folder, or name another file with --output"
        )

    def save_found(self, observations: Sequence[Observation], notes: list[str]) -> None:
        """Save the observations of the scene, so that a later search cannot change them."""
        write_json(self.folder / FOUND, {"observations": [asdict(one) for one in observations], "notes": notes})

    def load_found(self) -> tuple[list[Observation], list[str]] | None:
        """Load the observations of an interrupted scene; None before the first search."""
        file = self.folder / FOUND
        if not file.exists():
            return None
        what = f"remove {self.folder} to start again"
        values = read_json(file, what)
        try:
            found = [Observation.load(one) for one in values["observations"]]
            notes = [str(note) for note in values["notes"]]
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{file}: is damaged ({error}); {what}") from error
        for one in found:
            for asset in one.assets.values():
                require_remote(asset.href, one.id)
        return found, notes

    def missing(self, blocks: Sequence[Window]) -> list[int]:
        """Numbers of the blocks that are not finished."""
        return [number for number, window in enumerate(blocks) if not self._whole(number, window)]

    def put(self, number: int, block: Block) -> None:
        """Store a finished block."""
        write_bytes(self._file(number), block.astype(NUMBER, copy=False).tobytes())

    def get(self, number: int, window: Window) -> Block:
        """Load a finished block."""
        shape = (self._bands, window.height, window.width)
        return np.fromfile(self._file(number), NUMBER).astype(np.uint16, copy=False).reshape(shape)

    def remove(self) -> None:
        """Remove the folder and its contents."""
        remove_workplace(self.folder)

    def _file(self, number: int) -> Path:
        return self.folder / f"block_{number:06d}.u16"

    def _whole(self, number: int, window: Window) -> bool:
        file, size = self._file(number), NUMBER.itemsize * math.prod((self._bands, window.height, window.width))
        return file.is_file() and file.stat().st_size == size
